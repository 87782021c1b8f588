"""Which connection and address a call uses (ruling 23), and what a secret's host list refuses (SEC-04)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors import opening
from connectors.base import EffectClass, OutcomeKind
from connectors.dispatch import Call, Destination, plan
from core.secrets import Secret, open_sealed
from tests.connectors import servers
from tests.connectors.calls import KEY, Connect, Run, carry, http_call, operation, outside, parts, target
from tests.connectors.servers import Server

pytestmark = pytest.mark.django_db

CANARY = "canary-9f31c0de77ab"
PUBLIC = "https://192.88.98.7"


@pytest.fixture
def echo() -> Iterator[Server]:
    with servers.echo() as server:
        yield server


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places of the secrets that were decrypted, in order."""
    found: list[str] = []
    real = open_sealed

    def counting(record: str, **more: Any) -> Secret:
        found.append(more["context"].field)
        return real(record, **more)

    monkeypatch.setattr(opening, "open_sealed", counting)
    return found


def failure(tenant: Tenant, call: Call) -> tuple[str, bool]:
    planned = plan(tenant_id=tenant.id, calls=[call])
    assert planned.failure is not None
    assert planned.failure.retry is False
    return planned.failure.code, planned.failure.sent


def urls(tenant: Tenant, call: Call) -> list[str]:
    planned = plan(tenant_id=tenant.id, calls=[call])
    assert planned.failure is None, planned.failure
    return [endpoint.url for endpoint in planned.calls[0].endpoints]


def test_a_target_finds_its_connection_by_name(tenant: Tenant, connect: Connect) -> None:
    connect("http", "SIEM Platform", "https://siem.example/api")
    unbound = Destination("t", "security-category", "SIEM Platform", {"category": ["siem"]})

    assert urls(tenant, http_call("GET / HTTP/1.1", target=unbound)) == ["https://siem.example/api"]


@pytest.mark.parametrize(
    ("address", "port", "url"),
    [
        ({"url": ["https://api.example/v1"]}, None, "https://api.example/v1"),
        ({"url": ["https://API.example."]}, "443", "https://api.example/base"),
        ({"dname": ["api.example"]}, "443", "https://api.example/base"),
    ],
)
def test_a_target_finds_its_connection_by_equal_scheme_host_and_port(
    tenant: Tenant, connect: Connect, address: dict[str, Any], port: str | None, url: str
) -> None:
    connect("http", "api", "https://api.example/base" if url.endswith("base") else "https://api.example")

    assert urls(tenant, http_call("GET / HTTP/1.1", target=target(address=address, port=port))) == [url]


def test_of_two_connections_to_one_host_the_longer_base_path_wins(tenant: Tenant, connect: Connect) -> None:
    connect("http", "all", "https://api.example")
    connect("http", "v2", "https://api.example/v2")

    planned = plan(tenant_id=tenant.id, calls=[http_call("GET / HTTP/1.1", target=target("https://api.example/v2/x"))])

    assert planned.calls[0].connection is not None
    assert planned.calls[0].connection.name == "v2"


def test_two_connections_with_one_address_are_not_guessed_between(tenant: Tenant, connect: Connect) -> None:
    connect("http", "one", "https://api.example")
    connect("http", "two", "https://api.example")

    call = http_call("GET / HTTP/1.1", target=target("https://api.example"))

    assert failure(tenant, call) == ("no_connection", False)


def test_a_literal_public_address_is_called_without_any_connections_secret(tenant: Tenant, connect: Connect) -> None:
    connect("http", "api", "https://api.example", secrets={"token": CANARY})

    planned = plan(tenant_id=tenant.id, calls=[http_call("POST / HTTP/1.1", target=target(PUBLIC))])

    assert planned.failure is None
    assert not planned.calls[0].credential
    assert planned.effect is EffectClass.UNSAFE


@pytest.mark.parametrize(
    "where",
    [
        target("http://127.0.0.1:9"),
        target("http://10.1.2.3"),
        target("http://[::1]:9"),
        target("http://[::ffff:127.0.0.1]"),
        target("http://169.254.169.254"),
        target(address={"ipv4": ["192.168.0.10"]}),
        target(PUBLIC, outside=frozenset({"address"})),
        target(PUBLIC, outside=frozenset({"address.url"})),
        target(address={"dname": ["api.example"]}, outside=frozenset({"port"})),
        Destination("t", "security-category", "Firewall", {"category": ["firewall"]}),
    ],
)
def test_anything_else_has_no_connection(tenant: Tenant, where: Destination) -> None:
    assert failure(tenant, http_call("GET / HTTP/1.1", target=where)) == ("no_connection", False)


def test_a_name_that_leads_inside_is_refused_when_it_is_called(tenant: Tenant) -> None:
    planned = plan(tenant_id=tenant.id, calls=[http_call("GET / HTTP/1.1", target=target("http://localhost:9"))])

    outcome = carry(planned).outcome

    assert (outcome.code, outcome.sent, outcome.retry) == ("destination_refused", False, False)


def test_without_targets_the_agent_is_the_place(tenant: Tenant) -> None:
    agent = target(PUBLIC, name="agent")

    assert urls(tenant, http_call("GET / HTTP/1.1", agent=agent)) == [PUBLIC]


@pytest.mark.parametrize("agent", [None, Destination("a", "soarca", "soarca-http-api")])
def test_without_any_address_there_is_no_target(tenant: Tenant, agent: Destination | None) -> None:
    assert failure(tenant, http_call("GET / HTTP/1.1", agent=agent)) == ("no_target", False)


def test_an_agents_connection_serves_a_target_without_an_address(tenant: Tenant, connect: Connect) -> None:
    connect("http", "Gateway", "https://gateway.example")
    agent = Destination("a", "http-api", "Gateway")
    unbound = Destination("t", "security-category", "Firewall")

    call = http_call("GET / HTTP/1.1", target=unbound, agent=agent)

    assert urls(tenant, call) == ["https://gateway.example"]


def test_the_next_address_is_tried_only_where_no_connection_could_be_made(
    run: Run, connect: Connect, echo: Server
) -> None:
    connect("http", "echo", echo.url, hosts=["127.0.0.2"], allow_networks=["127.0.0.0/8"])
    both = target(name="echo", address={"url": [echo.url.replace("127.0.0.1", "127.0.0.2"), echo.url]})

    outcome = run(http_call("GET / HTTP/1.1", target=both)).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert len(echo.requests) == 1


def test_an_unknown_command_type_has_no_connector(tenant: Tenant) -> None:
    call = Call(key=KEY, arguments={"command": parts("x")}, command_type="caldera-cmd", target=target(PUBLIC))

    assert failure(tenant, call) == ("no_connector", False)


def test_a_request_to_people_is_never_dispatched(tenant: Tenant) -> None:
    call = Call(key=KEY, arguments={"command": parts("x")}, command_type="manual", target=target(PUBLIC))

    assert failure(tenant, call) == ("no_connector", False)


@pytest.mark.parametrize(
    ("made", "named", "code"),
    [
        ([], None, "no_connection"),
        ([], "missing", "no_connection"),
        (["one", "two"], None, "no_connection"),
        (["one"], "two", "no_connection"),
        (["one", "two"], "two", None),
        (["one"], None, None),
    ],
)
def test_an_operation_uses_the_only_connection_of_its_kind_or_the_one_named(
    tenant: Tenant, connect: Connect, made: list[str], named: str | None, code: str | None
) -> None:
    connect("slack", "another kind", "https://slack.example")
    for name in made:
        connect("http", name, "https://api.example")
    arguments = {"path": "/", **({"connection": named} if named else {})}

    planned = plan(tenant_id=tenant.id, calls=[operation("http.request", arguments)])

    assert (planned.failure.code if planned.failure else None) == code
    if code is None:
        assert planned.calls[0].connection is not None
        assert planned.calls[0].connection.name == (named or made[0])


def test_a_connection_of_another_kind_is_not_used_by_its_name(tenant: Tenant, connect: Connect) -> None:
    connect("slack", "chat", "https://slack.example")

    assert failure(tenant, operation("http.request", {"path": "/", "connection": "chat"})) == ("no_connection", False)


def test_a_disabled_or_foreign_connection_is_not_opened(
    run: Run, tenant: Tenant, other_tenant: Tenant, connect: Connect, opened: list[str], echo: Server
) -> None:
    connect("http", "off", echo.url, secrets={"token": CANARY}, enabled=False)
    connect("http", "theirs", echo.url, secrets={"token": CANARY}, tenant=other_tenant)

    for call in (
        operation("http.request", {"path": "/", "connection": "off"}),
        operation("http.request", {"path": "/", "connection": "theirs"}),
        operation("http.request", {"path": "/"}),
        http_call("GET / HTTP/1.1", target=target(echo.url)),
        http_call("GET / HTTP/1.1", target=target(name="theirs")),
    ):
        outcome = run(call).outcome
        assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "no_connection", False)
    assert opened == []
    assert echo.connections == 0


@pytest.mark.parametrize(
    "where",
    [
        target("https://other.example", name="api"),
        target("https://other.example", name="api", outside=frozenset({"address"})),
        target("http://api.example", name="api"),
        target("https://api.example:444", name="api"),
        target("https://api.example.other.example", name="api"),
    ],
)
def test_a_secret_does_not_go_to_a_host_scheme_or_port_that_is_not_its_own(
    run: Run, connect: Connect, opened: list[str], where: Destination
) -> None:
    connect("http", "api", "https://api.example", secrets={"token": CANARY})

    outcome = run(http_call("GET / HTTP/1.1", target=where)).outcome

    assert (outcome.code, outcome.sent) == ("destination_refused", False)
    assert opened == []


@pytest.mark.parametrize(
    "line", ["GET //other.example/ HTTP/1.1", "GET https://other.example/ HTTP/1.1", "GET /\\other.example HTTP/1.1"]
)
def test_a_start_line_that_names_another_host_opens_nothing(
    run: Run, connect: Connect, opened: list[str], line: str
) -> None:
    connect("http", "api", "https://api.example", secrets={"token": CANARY})

    outcome = run(http_call(line, target=target(name="api"))).outcome

    assert (outcome.code, outcome.sent) == ("destination_refused", False)
    assert opened == []


def test_a_host_from_a_variable_is_legal_inside_the_host_list(
    run: Run, connect: Connect, opened: list[str], echo: Server
) -> None:
    port = echo.url.rpartition(":")[2]
    connect("http", "fleet", f"http://localhost:{port}", secrets={"token": CANARY}, hosts=["127.0.0.0/8"])
    inside = target(echo.url, name="fleet", outside=frozenset({"address"}))

    outcome = run(http_call("GET / HTTP/1.1", target=inside)).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert echo.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert opened == ["token"]


def basic(**more: Any) -> Destination:
    authentication = {"type": "http-basic", "user_id": "me"}
    return target(more.pop("url", PUBLIC), authentication=authentication, secrets={"password": Secret(CANARY)}, **more)


def test_a_documents_secret_is_bound_to_the_addresses_the_document_writes(
    tenant: Tenant, connect: Connect, echo: Server
) -> None:
    written = plan(tenant_id=tenant.id, calls=[http_call("GET / HTTP/1.1", target=basic())])
    assert written.calls[0].credential.literal == {"password": Secret(CANARY)}

    by_variable = basic(outside=frozenset({"address"}))
    assert failure(tenant, http_call("GET / HTTP/1.1", target=by_variable)) == ("no_connection", False)

    connect("http", "echo", echo.url)
    by_variable = basic(url=echo.url, outside=frozenset({"address"}))
    assert failure(tenant, http_call("GET / HTTP/1.1", target=by_variable)) == ("destination_refused", False)


@pytest.mark.parametrize(
    ("authentication", "secrets", "header", "value"),
    [
        ({"type": "http-basic", "user_id": "me"}, {"password": "canary"}, "authorization", "Basic bWU6Y2FuYXJ5"),
        ({"type": "user-auth", "username": "me"}, {"password": "canary"}, "authorization", "Basic bWU6Y2FuYXJ5"),
        ({"type": "oauth2", "oauth_header": "Authorization"}, {"token": "canary"}, "authorization", "Bearer canary"),
        ({"type": "oauth2", "oauth_header": "Bearer"}, {"token": "canary"}, "authorization", "Bearer canary"),
        ({"type": "oauth2", "oauth_header": "X-Auth: Key"}, {"token": "canary"}, "x-auth", "Key canary"),
        ({"type": "oauth2", "oauth_header": "X-Auth"}, {"token": "canary"}, "x-auth", "canary"),
    ],
)
def test_the_documents_log_on_is_used_where_no_connection_has_one(
    run: Run,
    connect: Connect,
    echo: Server,
    authentication: dict[str, Any],
    secrets: dict[str, str],
    header: str,
    value: str,
) -> None:
    connect("http", "echo", echo.url)
    held = {name: Secret(secret) for name, secret in secrets.items()}
    place = target(echo.url, authentication=authentication, secrets=held)

    run(http_call("GET / HTTP/1.1", target=place))

    assert echo.requests[0].headers[header] == value


def test_a_connections_log_on_beats_the_documents(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url, secrets={"token": CANARY})

    run(http_call("GET / HTTP/1.1", target=basic(url=echo.url)))

    assert echo.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def test_the_agents_log_on_is_used_where_the_target_has_none(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url)
    agent = Destination(
        "a", "http-api", "agent", {}, {"type": "http-basic", "user_id": "me"}, {"password": Secret("canary")}
    )

    run(http_call("GET / HTTP/1.1", target=target(echo.url), agent=agent))

    assert echo.requests[0].headers["authorization"] == "Basic bWU6Y2FuYXJ5"


def test_a_stored_secret_that_the_document_names_goes_only_to_its_hosts(
    run: Run, connect: Connect, echo: Server, opened: list[str]
) -> None:
    stored = {"type": "http-basic", "user_id": "me", "kms": True, "kms_key_identifier": "vault"}
    connect("http", "echo", echo.url)
    connect("http", "vault", "https://vault.example", secrets={"token": CANARY})
    call = http_call("GET / HTTP/1.1", target=target(echo.url, authentication=stored))

    refused = run(call).outcome
    assert (refused.code, refused.sent, opened) == ("destination_refused", False, [])

    connect("http", "vault", "https://vault.example", hosts=["127.0.0.1"])
    assert run(call).outcome.kind is OutcomeKind.COMPLETED
    assert echo.requests[0].headers["authorization"].startswith("Basic ")


def test_the_demonstration_target_is_allowed_by_its_exact_address(run: Run, settings: Settings, echo: Server) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = []
    settings.SALLYPORT_DEMO_ENDPOINT = echo.url.removeprefix("http://")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}"

        assert run(http_call("GET / HTTP/1.1", target=target(echo.url))).outcome.kind is OutcomeKind.COMPLETED
        assert run(http_call("GET / HTTP/1.1", target=target(elsewhere))).outcome.code == "no_connection"


@pytest.mark.parametrize(
    ("deployment", "own", "code"),
    [
        ([], ["127.0.0.1/32"], "destination_refused"),
        (["10.0.0.0/8"], ["127.0.0.1/32"], "destination_refused"),
        (["127.0.0.0/8"], ["127.0.0.1/32"], ""),
    ],
)
def test_loopback_needs_the_deployments_list(
    run: Run, connect: Connect, settings: Settings, echo: Server, deployment: list[str], own: list[str], code: str
) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = deployment
    assert connect("http", "echo", echo.url).allow_networks == own

    assert run(operation("http.request", {"path": "/"})).outcome.code == code


def test_our_own_endpoints_are_never_called(run: Run, connect: Connect, settings: Settings, echo: Server) -> None:
    connect("http", "echo", echo.url)
    settings.SALLYPORT_DENIED_ENDPOINTS = [("127.0.0.1", int(echo.url.rpartition(":")[2]))]

    outcome = run(operation("http.request", {"path": "/"})).outcome

    assert (outcome.code, outcome.sent) == ("destination_refused", False)
    assert echo.connections == 0


def test_the_class_of_a_step_is_the_weakest_of_its_calls(tenant: Tenant, connect: Connect) -> None:
    connect("http", "api", "https://api.example", keyed=True)
    read = http_call("GET / HTTP/1.1", target=target(name="api"))
    write = http_call("POST / HTTP/1.1", target=target(name="api"))
    unsafe = http_call("POST / HTTP/1.1", target=target(PUBLIC))

    assert plan(tenant_id=tenant.id, calls=[read]).effect is EffectClass.READ
    assert plan(tenant_id=tenant.id, calls=[read, write]).effect is EffectClass.KEYED
    assert plan(tenant_id=tenant.id, calls=[read, write, unsafe]).effect is EffectClass.UNSAFE


def test_an_outside_port_does_not_move_a_secret(run: Run, connect: Connect, opened: list[str]) -> None:
    connect("http", "api", "https://api.example", secrets={"token": CANARY})
    moved = target(name="api", address={"dname": ["api.example"]}, port="8443", outside=frozenset({"port"}))

    outcome = run(http_call("GET /", outside("x"), " HTTP/1.1", target=moved)).outcome

    assert (outcome.code, outcome.sent, opened) == ("destination_refused", False, [])
