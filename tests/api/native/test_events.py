"""Events that come in by HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant
from executions.models import Execution
from playbooks.models import PlaybookVersion, Trigger
from tests.api.native.calls import Api
from tests.api.native.conftest import MakeCaller
from tests.api.native.triggering import executions_of, make, problem, read, store

EVENTS = "/api/native/events"


def emit(api: Api, event: str = "finding.new", *, id: str | None = None, **data: Any) -> Any:
    return api.post(EVENTS, {"event": event, "data": data, **({"id": id} if id else {})})


def test_an_event_starts_what_answers_in_this_tenant(api: Api, stranger: Api, tenant: Tenant) -> None:
    playbook = store(tenant, event="finding.new", conditions={"severity": "critical"})
    store(tenant, event="scan.failed")

    told = read(emit(api, severity="critical", title="x"))

    [started] = told["started"]
    assert started["playbook_id"] == f"pb-{playbook.slug}"
    assert Execution.objects.get(pk=started["execution_id"]).inputs["finding"]["title"] == "x"
    assert told["id"]
    assert "why" not in told
    for nothing in (emit(api, severity="low"), emit(stranger, severity="critical")):
        assert executions_of(nothing) == []
        assert read(nothing)["why"]


def test_an_id_that_comes_again_starts_nothing_new_and_with_other_data_is_a_conflict(api: Api, tenant: Tenant) -> None:
    store(tenant, event="finding.new", conditions={"severity": "critical"})
    first = emit(api, id="f-1", severity="critical")

    assert executions_of(emit(api, id="f-1", severity="critical")) == executions_of(first)
    for other in ("high", "critical "):
        problem(emit(api, id="f-1", severity=other), 409, "start_key_reused")
    assert Execution.objects.count() == 1


def test_a_conflict_starts_nothing_of_a_playbook_that_came_later(api: Api, tenant: Tenant) -> None:
    store(tenant, event="finding.new")
    emit(api, id="f-1", a=1)
    store(tenant, event="finding.new")

    problem(emit(api, id="f-1", a=2), 409, "start_key_reused")
    assert Execution.objects.count() == 1


def test_dedup_fields_stand_in_for_an_id(api: Api, tenant: Tenant) -> None:
    make(api, store(tenant), "finding.new", dedup_fields=["asset.id"])

    first = executions_of(emit(api, asset={"id": "a-1"}, seen=1))
    assert executions_of(emit(api, asset={"id": "a-1"}, seen=2)) == first
    assert executions_of(emit(api, asset={"id": "a-2"}, seen=1)) != first
    assert executions_of(emit(api, seen=1)) != executions_of(emit(api, seen=1))
    assert executions_of(emit(api, id="f-1", asset={"id": "a-1"})) != first


def test_two_triggers_of_one_playbook_start_it_once_for_an_event(api: Api, tenant: Tenant) -> None:
    playbook = store(tenant, event="finding.new")
    make(api, playbook, "finding.new")

    assert len(executions_of(emit(api, a=1))) == 1


def test_a_refusal_is_told_beside_what_was_started(api: Api, tenant: Tenant) -> None:
    refused = store(tenant, event="finding.new")
    PlaybookVersion.objects.filter(playbook=refused).update(is_revoked=True)
    store(tenant, event="finding.new")

    told = read(emit(api, a=1))

    assert len(told["started"]) == 1
    [shown] = told["refused"]
    assert (shown["playbook_id"], shown["code"]) == (f"pb-{refused.slug}", "playbook_revoked")
    assert "playbook_revoked" in Trigger.objects.get(playbook=refused).last_error


def test_a_full_queue_tells_to_come_again_and_an_id_makes_that_safe(api: Api, tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 1
    for _ in range(2):
        store(tenant, event="finding.new")

    problem(emit(api, id="f-1"), 429, "queue_full")
    assert Execution.objects.count() == 1
    settings.SALLYPORT_QUEUE_LIMIT = 10
    assert len(executions_of(emit(api, id="f-1"))) == 2
    assert Execution.objects.count() == 2


def test_without_an_id_what_was_started_is_told_although_the_queue_filled_up(
    api: Api, tenant: Tenant, settings: Any
) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 1
    for _ in range(2):
        store(tenant, event="finding.new")

    told = read(emit(api))
    assert (len(told["started"]), told["refused"][0]["code"]) == (1, "queue_full")
    problem(emit(api), 429, "queue_full")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"data": {}}, "event"), ({"event": "finding.new"}, "data"), ({"event": "finding.new", "data": []}, "data"),
        ({"event": "schedule", "data": {}}, "event"), ({"event": "webhook", "data": {}}, "event"),
        ({"event": "finding.new", "data": {}, "id": 7}, "id"), ({"event": "finding.new", "data": {}, "id": ""}, "id"),
        ({"event": "finding.new", "data": {}, "id": "x" * 256}, "id"), ({"event": "x", "data": {}, "y": 1}, "event"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_naming_the_field(api: Api, body: dict[str, Any], path: str) -> None:
    answer = api.post(EVENTS, body)

    problem(answer, 422, "validation_error")
    assert path in [fault["path"] for fault in read(answer)["errors"]]


def test_emitting_takes_the_permission_to_run_playbooks(tenant: Tenant, caller: MakeCaller) -> None:
    problem(emit(caller(tenant, "viewer")), 403, "forbidden")
    assert emit(caller(tenant, "analyst")).status_code == 202
    assert Api().post(EVENTS, {}).status_code == 401
