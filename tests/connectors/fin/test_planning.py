"""Which steps are for a fin, and what is told it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Tenant
from connectors.base import OCTETS, EffectClass, Part
from connectors.dispatch import Call, Destination, plan
from connectors.fin.models import FinRule
from connectors.fin.planning import plan_for
from connectors.fin.services import Capability, register_http, register_mqtt
from connectors.planning import Plan
from core.secrets import Secret
from tests.connectors.calls import KEY, outside, parts
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

Register = Callable[..., None]


@pytest.fixture
def tenant(db: None) -> Tenant:
    """In place of the one that needs a test's own database."""
    made: Tenant = TenantFactory()
    return made


@pytest.fixture
def register(tenant: Tenant) -> Register:
    def over_http(*keys: str) -> None:
        register_http(
            tenant_id=tenant.pk, display_name="", protocol_version="1", now=timezone.now(),
            capabilities=[Capability(key) for key in keys],
        )  # fmt: skip

    return over_http


def call(*command: str | Part, kind: str = "echo", agent: Destination | None = None, **more: Any) -> Call:
    arguments = more.pop("arguments", {"command": parts(*command)})
    return Call(key=KEY, arguments=arguments, command_type=kind, agent=agent or named("tool"), **more)


def named(type_: str, name: str = "an agent", **more: Any) -> Destination:
    return Destination(f"{type_}--1", type_, name, **more)


def command_of(found: Plan) -> dict[str, Any]:
    assert found.failure is None, found.failure
    command: dict[str, Any] = found.calls[0].arguments["commands"][0]
    return command


@pytest.mark.parametrize(
    "agent",
    [
        named("ssh"), named("http-api"), named("individual"), named("security-category"), named("linux"),
        named("soarca", "soarca-ssh"), named("tool", "soarca-manual"), named("soarca"),
    ],
    ids=lambda agent: f"{agent.type}-{agent.name}",
)  # fmt: skip
def test_agents_that_are_somebody_else_are_no_fins_whatever_is_registered(
    tenant: Tenant, register: Register, agent: Destination, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    register(agent.type, agent.name)

    with django_assert_num_queries(0):
        assert plan_for(tenant.pk, [call(agent=agent)]) is None


def test_an_operation_called_by_name_costs_no_query(
    tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert plan_for(tenant.pk, [Call(key=KEY, arguments={}, operation="http.request")]) is None
        assert plan_for(tenant.pk, []) is None


def test_an_agent_that_nobody_registered_goes_the_usual_way(tenant: Tenant) -> None:
    assert plan_for(tenant.pk, [call()]) is None
    failure = plan(tenant_id=tenant.pk, calls=[call()]).failure
    assert failure is not None
    assert (failure.code, failure.sent) == ("no_connector", False)


@pytest.mark.parametrize(
    ("agent", "finds"),
    [
        (named("soarca-fin", "cap-1"), True),
        (named("soarca-fin", "soarca-fin-pong-cap-1"), True),
        (named("anything", "soarca-fin-pong-cap-1"), True),
        (named("anything", "cap-1"), True),
        (named("soarca-fin", "soarca-fin-pong-cap-2"), False),
        (named("soarca-fin", "cap"), False),
    ],
)
def test_a_capability_over_mqtt_is_found_by_its_id(tenant: Tenant, agent: Destination, finds: bool) -> None:
    register_mqtt(
        tenant_id=tenant.pk, name="fin-1", display_name="", protocol_version="", now=timezone.now(),
        capabilities=[Capability("cap-1", "pong")],
    )  # fmt: skip

    found = plan(tenant_id=tenant.pk, calls=[call(agent=agent)])
    assert (found.failure is None) is finds
    assert found.failure is None or found.failure.code == "no_connector"


@pytest.mark.parametrize(("rule", "effect"), [(None, "unsafe"), ("idempotent", "idempotent"), ("read", "read")])
def test_the_tenants_rule_says_what_repeating_does(
    tenant: Tenant, register: Register, rule: str | None, effect: str
) -> None:
    register("tool")
    if rule is not None:
        FinRule.objects.create(tenant=tenant, capability="tool", effect=rule)

    found = plan(tenant_id=tenant.pk, calls=[call("go")])
    assert (found.effect, found.calls[0].effect) == (EffectClass(effect), EffectClass(effect))


@pytest.mark.parametrize(
    ("kind", "command", "told"),
    [
        ("echo", ("say ", outside("hello-1.2_3")), "say hello-1.2_3"),
        ("echo", ("at ", outside("192.0.2.1", "ipv4-addr")), "at 192.0.2.1"),
        ("bash", ("echo ", outside("a b; id")), "echo 'a b; id'"),
        ("ssh", ("echo ", outside("$(id)")), "echo '$(id)'"),
        ("powershell", ("Write-Host ", outside("a b")), "Write-Host 'a b'"),
        ("http-api", ("GET /x/", outside("a/b c")), "GET /x/a%2Fb%20c HTTP/1.1"),
        ("echo", ("author's own; text",), "author's own; text"),
    ],
)
def test_values_are_quoted_for_their_place(
    tenant: Tenant, register: Register, kind: str, command: tuple[Any, ...], told: str
) -> None:
    register("tool")

    assert command_of(plan(tenant_id=tenant.pk, calls=[call(*command, kind=kind)]))["command"] == told


@pytest.mark.parametrize("value", ["a b", "x;y", "-rf", "a/b", "$(id)", "", "a\nb", "'"])
def test_in_a_language_that_nobody_knows_only_words_go_in(tenant: Tenant, register: Register, value: str) -> None:
    register("tool")

    failure = plan(tenant_id=tenant.pk, calls=[call("say ", outside(value))]).failure
    assert failure is not None
    assert (failure.code, failure.sent) == ("unsafe_placeholder", False)


def test_what_is_no_text_is_told_in_base64(tenant: Tenant, register: Register) -> None:
    register("tool")
    octets = {"command": (Part("gIE=", type=OCTETS),), "content": (Part("gIE=", type=OCTETS),)}

    found = command_of(plan(tenant_id=tenant.pk, calls=[call(arguments=octets)]))
    assert (found["command"], found["command_b64"], found["content_b64"]) == (None, "gIE=", "gIE=")


def test_one_job_holds_all_commands_and_targets(tenant: Tenant, register: Register) -> None:
    register("tool")
    targets = [named("linux", "web-1"), Destination("linux--2", "linux", "web-2")]
    calls = [call(text, target=target) for text in ("first", "second") for target in targets]

    found = plan(tenant_id=tenant.pk, calls=calls)
    assert len(found.calls) == 1
    assert found.calls[0].key == KEY
    assert [command["command"] for command in found.calls[0].arguments["commands"]] == ["first", "second"]
    assert [target["target"]["name"] for target in found.calls[0].arguments["targets"]] == ["web-1", "web-2"]


def test_a_secret_goes_only_with_an_address_of_the_document(tenant: Tenant, register: Register) -> None:
    register("tool")
    login: dict[str, Any] = {
        "authentication": {"type": "user-auth", "username": "soar"},
        "secrets": {"password": Secret("p" * 12)},
    }
    good = named("linux", **login)
    found = plan(tenant_id=tenant.pk, calls=[call("go", target=good)])
    assert found.calls[0].credential.literal == {"0.password": Secret("p" * 12)}
    assert "p" * 12 not in str(found.calls[0].arguments)

    moved = named("linux", outside=frozenset({"address.ipv4"}), **login)
    failure = plan(tenant_id=tenant.pk, calls=[call("go", target=moved)]).failure
    assert failure is not None
    assert failure.code == "destination_refused"


def test_the_agents_log_on_is_used_where_the_target_has_none(tenant: Tenant, register: Register) -> None:
    register("tool")
    agent = named("tool", authentication={"type": "http-basic", "user_id": "a"}, secrets={"password": Secret("q" * 12)})

    found = plan(tenant_id=tenant.pk, calls=[call("go", agent=agent, target=named("linux"))])
    [target] = found.calls[0].arguments["targets"]
    assert (target["authentication"], target["owner"]) == ({"type": "http-basic", "user_id": "a"}, agent.id)
    assert found.calls[0].credential.literal == {"0.password": Secret("q" * 12)}
