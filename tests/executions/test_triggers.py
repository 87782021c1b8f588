"""Events start executions (contracts/s4e.md, trigger)."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant
from executions.models import Execution
from executions.services import emit_event
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from playbooks.models import Playbook, PlaybookVersion
from tests.executions.acting import advance, one_step, state
from tests.factories import NOON
from tests.flows.starting import make_tenant, store_workflow


def saying() -> Workflow:
    operation = Operation("http.request", "act-http-request", {"path": "{{ finding.title }}"})
    return one_step(Step(id="a", type=StepType.ACTION, operation=operation, on_success="end"))


def store(tenant: Tenant, conditions: dict[str, Any] | None = None, event: str = "finding.new") -> PlaybookVersion:
    return store_workflow(tenant, saying(), trigger={"event": event, "conditions": conditions or {}})


def emit(tenant: Tenant, event: str = "finding.new", *, id: str | None = None, **data: Any) -> list[Execution]:
    return emit_event(tenant=tenant, event=event, data=data, event_id=id, now=NOON)


def test_an_event_starts_what_answers_to_it_and_is_seen_by_it(tenant: Tenant) -> None:
    version = store(tenant, {"severity": "critical"})
    store(tenant, {"severity": "low"})
    store(tenant, event="scan.failed")
    store(make_tenant())

    [started] = emit(tenant, severity="critical", title="Log4Shell")

    assert started.version_id == version.pk
    assert started.inputs["finding"] == {"severity": "critical", "title": "Log4Shell"}
    assert started.actor["kind"] == "trigger"


def test_one_event_starts_a_playbook_once_however_often_it_comes(tenant: Tenant) -> None:
    store(tenant)
    store(tenant)
    first = emit(tenant, id="e-1", title="x")
    advance(first[0], "start")

    again = emit(tenant, id="e-1", title="x")

    assert len(first) == 2
    assert {found.pk for found in again} == {found.pk for found in first}
    assert len(emit(tenant, id="e-2", title="x")) == 2
    assert Execution.objects.count() == 4


def test_an_event_without_an_id_is_a_new_one_each_time(tenant: Tenant) -> None:
    store(tenant)

    assert emit(tenant, title="x")[0].pk != emit(tenant, title="x")[0].pk


def test_a_playbook_that_may_not_start_keeps_no_other_from_starting(tenant: Tenant) -> None:
    PlaybookVersion.objects.filter(pk=store(tenant).pk).update(is_revoked=True)
    good = store(tenant)

    assert [found.version_id for found in emit(tenant, title="x")] == [good.pk]


@pytest.mark.parametrize("columns", [{"is_enabled": False}, {"archived_at": NOON}])
def test_what_is_switched_off_or_put_away_is_not_started(tenant: Tenant, columns: dict[str, Any]) -> None:
    Playbook.objects.filter(pk=store(tenant).playbook_id).update(**columns)

    assert emit(tenant, title="x") == []


def test_an_event_may_hold_what_postgresql_cannot(tenant: Tenant) -> None:
    store(tenant)
    [started] = emit(tenant, id="e", title="a\x00\ud83d")

    assert started.inputs["finding"]["title"] == "a\ufffd?"
    assert emit(tenant, id="e", title="a\x00\ud83d")[0].pk == started.pk


def test_a_pattern_over_a_text_that_is_too_long_does_not_match(tenant: Tenant) -> None:
    store(tenant, {"title": {"$regex": "x+"}})

    assert emit(tenant, title="x" * (1024 * 1024 + 1)) == []
    assert state(emit(tenant, title="xx")[0])[0] == "pending"
