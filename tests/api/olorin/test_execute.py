"""POST /api/soar/playbooks/execute"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from accounts.models import Tenant
from core import failpoints
from executions.models import Execution
from tests.api.olorin.calls import EXECUTE, KEY, Json, body, read, refused
from tests.api.s4e.calls import Api, approval

Finish = Callable[[str], Execution]


def started(tenant: Tenant) -> int:
    return Execution.objects.filter(tenant=tenant).count()


@pytest.fixture
def breaking() -> Iterator[Callable[[int], None]]:
    """Return a function that lets so many starts to come break before their commit."""
    left = 0

    def reach(name: str) -> None:
        nonlocal left
        if name == "before_start_commit" and left > 0:
            left -= 1
            raise RuntimeError("out of order")

    def set_(count: int) -> None:
        nonlocal left
        left = count

    failpoints.install(reach)
    yield set_
    failpoints.install(None)


def test_olo_001_a_start_answers_exactly_these_keys(api: Api, waiting: str) -> None:
    told = read(api.post(EXECUTE, body()), 202)

    assert list(told) == ["execution_id", "playbook_id", "status", "started_at"]
    assert (told["playbook_id"], told["status"]) == (KEY, "running")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["started_at"])


def test_olo_002_013_every_call_is_a_new_execution(api: Api, waiting: str, tenant: Tenant) -> None:
    first, second = (read(api.post(EXECUTE, body()), 202)["execution_id"] for _ in range(2))

    assert re.fullmatch(r"exec_[a-z0-9]{12}", first)
    assert re.fullmatch(r"exec_[a-z0-9]{12}", second)
    assert first != second
    assert started(tenant) == 2


def test_olo_003_all_but_playbook_and_tenant_is_optional(api: Api, waiting: str) -> None:
    assert read(api.post(EXECUTE, {"playbook_id": KEY, "tenant_id": "tenant_123"}), 202)["status"] == "running"


@pytest.mark.parametrize("given", [None, "", 7, ["tenant_123"]], ids=repr)
def test_olo_005_a_start_names_its_tenant(api: Api, waiting: str, given: object) -> None:
    refused(api.post(EXECUTE, body(tenant_id=given)), 400, "tenant_id")


@pytest.mark.parametrize(
    "given",
    [None, "", "   ", 7, "has spaces!", "_x", "a/b", "x" * 129, "a.b", "a\n"],
    ids=lambda value: repr(value)[:20],
)
def test_olo_006_a_playbook_is_named_by_its_key(api: Api, waiting: str, tenant: Tenant, given: object) -> None:
    refused(api.post(EXECUTE, body(playbook_id=given)), 400, "playbook_id")
    assert started(tenant) == 0


@pytest.mark.parametrize("given", ["nope_unknown", "fraud-response-critical", "Fraud_Response_Critical"])
def test_olo_007_an_unknown_playbook_is_not_found(api: Api, waiting: str, given: str) -> None:
    refused(api.post(EXECUTE, body(playbook_id=given)), 404)


def test_another_tenants_playbook_is_not_found(api: Api, stranger: Api, tenant: Tenant) -> None:
    stranger.made(name="Fraud response critical", steps=[approval("ask")])

    assert refused(api.post(EXECUTE, body()), 404) == refused(api.post(EXECUTE, body()), 404)
    assert started(tenant) == 0


def test_a_disabled_playbook_is_a_conflict(api: Api, waiting: str, tenant: Tenant) -> None:
    from playbooks.models import Playbook

    Playbook.objects.update(is_enabled=False)

    refused(api.post(EXECUTE, body()), 409, "disabled")
    assert started(tenant) == 0


def test_olo_009_another_tenant_is_forbidden_and_nothing_starts(
    api: Api, waiting: str, tenant: Tenant, other_tenant: Tenant
) -> None:
    refused(api.post(EXECUTE, body(tenant_id="tenant_999")), 403)
    refused(api.post(EXECUTE, body(tenant_id="tenant_of_nobody")), 403)

    assert started(tenant) == started(other_tenant) == 0


def test_olo_010_a_start_that_the_engine_cannot_make_is_stored_as_failed(
    api: Api, waiting: str, tenant: Tenant, breaking: Callable[[int], None]
) -> None:
    breaking(99)
    detail = refused(api.post(EXECUTE, body()), 500)
    breaking(0)

    (stored,) = re.findall(r"exec_[a-z0-9]{12}", detail)
    told = read(api.get(f"/api/soar/playbooks/executions/{stored}?tenant_id=tenant_123"))
    assert (told["status"], told["anomaly_id"]) == ("failed", "anom_xyz789")
    assert told["error_message"]
    assert told["completed_at"]
    assert started(tenant) == 1
    assert "out of order" not in detail + str(told)


def test_olo_011_the_context_reaches_the_playbook(api: Api, finish: Finish) -> None:
    from tests.api.s4e.calls import condition

    steps = [
        condition("c", "{{ context.anything }} == 'else'", on_true="ask", on_false="end"),
        approval("ask", message="{{ context.nested.deep }}"),
    ]
    api.made(name="Fraud response critical", steps=steps)
    given = body(context={"anything": "else", "nested": {"deep": "down"}, "risk_score": -0.0})
    told = read(api.post(EXECUTE, given), 202)

    assert finish(told["execution_id"]).status == "paused"


@pytest.mark.parametrize("playbook", ["s4e", "cacao"])
def test_a_key_of_the_context_fills_the_input_of_its_name(api: Api, finish: Finish, playbook: str) -> None:
    if playbook == "s4e":
        inputs = {"count": {"type": "Number", "required": True}}
        api.made(name="Fraud response critical", inputs=inputs, steps=[approval("ask", message="{{ inputs.count }}")])
    else:
        made = api.post("/playbook", _cacao())
        assert made.status_code == 201, made.content

    refused(api.post(EXECUTE, body(context={})), 400, "context.count")
    refused(api.post(EXECUTE, body(context={"count": "many"})), 400, "context.count")
    told = read(api.post(EXECUTE, body(context={"count": 3, "other": 1})), 202)
    assert finish(told["execution_id"]).status == "completed" if playbook == "cacao" else "paused"


def _cacao() -> Json:
    start, end = (f"{kind}--00000000-0000-4000-8000-00000000000{n}" for n, kind in enumerate(("start", "end")))
    stamp = "2026-01-01T00:00:00.000Z"
    return {
        "type": "playbook", "spec_version": "cacao-2.0", "id": "playbook--0a0a0a0a-0000-4000-8000-000000000000",
        "name": "Fraud response critical", "created_by": "identity--0a0a0a0a-0000-4000-8000-000000000001",
        "created": stamp, "modified": stamp, "workflow_start": start,
        "playbook_variables": {"__count__": {"type": "integer", "external": True}},
        "workflow": {start: {"type": "start", "on_completion": end}, end: {"type": "end"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("context", "word"),
    [
        ({"risk_score": "high"}, "risk_score"),
        ({"risk_score": True}, "risk_score"),
        ({"severity": 3}, "severity"),
        ({"entity_id": None}, "entity_id"),
        ([], "context"),
        ("text", "context"),
    ],
    ids=repr,
)
def test_what_the_context_names_has_its_type(api: Api, waiting: str, context: object, word: str) -> None:
    refused(api.post(EXECUTE, body(context=context)), 400, word)


def test_olo_013_the_same_key_and_body_start_once(api: Api, waiting: str, tenant: Tenant) -> None:
    first = api.post(EXECUTE, body(), Idempotency_Key="k-1")
    again = api.post(EXECUTE, body(), Idempotency_Key="k-1")

    assert read(first, 202) == read(again, 202)
    assert started(tenant) == 1
    refused(api.post(EXECUTE, body(anomaly_id="other"), Idempotency_Key="k-1"), 409)
    refused(api.post(EXECUTE, body(), Idempotency_Key="k 1"), 400)


def test_olo_014_the_eleventh_in_a_minute_is_refused_for_its_tenant_alone(
    api: Api, viewer: Api, stranger: Api, waiting: str
) -> None:
    stranger.made(name="Fraud response critical", steps=[approval("ask")])
    answers = [api.post(EXECUTE, body()) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    assert answers[0]["X-RateLimit-Limit"] == "10"
    assert answers[-1]["X-RateLimit-Remaining"] == "0"
    assert int(answers[-1]["Retry-After"]) in range(1, 62)
    refused(answers[-1], 429)
    assert read(stranger.post(EXECUTE, body(tenant_id="tenant_999")), 202)


def test_olo_015_a_start_needs_credentials_and_the_permission(waiting: str, viewer: Api, tenant: Tenant) -> None:
    answer = Api().post(EXECUTE, body())

    refused(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"
    refused(viewer.post(EXECUTE, body()), 403)
    assert started(tenant) == 0


def test_olo_017_a_start_that_breaks_twice_is_made_once(
    api: Api, waiting: str, tenant: Tenant, breaking: Callable[[int], None]
) -> None:
    breaking(2)

    assert read(api.post(EXECUTE, body()), 202)["status"] == "running"
    assert started(tenant) == 1
    assert Execution.objects.get(tenant=tenant).status == "pending"


def test_unknown_fields_are_ignored(api: Api, waiting: str) -> None:
    assert read(api.post(EXECUTE, body(status="completed", tenant="tenant_999")), 202)["status"] == "running"
