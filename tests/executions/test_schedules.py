"""Schedules are due rows: each fire starts one execution, and what was missed is treated as the trigger says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Tenant
from core import failpoints
from core.clock import database_now
from executions.models import Execution
from executions.services import scheduling, triggering
from executions.services.scheduling import fire_due
from playbooks.models import Playbook, PlaybookVersion, Trigger
from playbooks.schedules import next_fire
from playbooks.services import set_document_trigger
from tests.executions.acting import one_step
from tests.executions.test_triggers import saying
from tests.flows.starting import make_tenant, store_workflow

#: once a day, half a day away from now
NIGHTLY = f"30 {(datetime.now(tz=UTC).hour + 12) % 24} * * *"
DAY = timedelta(days=1)


def schedule(tenant: Tenant, cron: str = NIGHTLY, **columns: Any) -> Trigger:
    version = store_workflow(tenant, saying(), trigger={"event": "schedule", "cron": cron})
    trigger = Trigger.objects.get(playbook_id=version.playbook_id)
    Trigger.objects.filter(pk=trigger.pk).update(**columns)
    trigger.refresh_from_db()
    return trigger


def fires(trigger: Trigger) -> list[datetime]:
    """The fires that started an execution, in order."""
    found = Execution.objects.filter(playbook_id=trigger.playbook_id)
    told = [execution.inputs["schedule"]["fire_at"] for execution in found]
    return sorted(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") for text in told)


def nights_ago(count: int) -> datetime:
    """A fire of NIGHTLY, so many before the latest."""
    return next_fire(NIGHTLY, database_now()) - (count + 1) * DAY


def reread(trigger: Trigger) -> Trigger:
    trigger.refresh_from_db()
    return trigger


def test_a_new_schedule_is_due_at_its_next_fire_and_starts_nothing_before(tenant: Tenant) -> None:
    trigger = schedule(tenant)

    assert trigger.next_due_at == next_fire(NIGHTLY, database_now())
    assert fire_due() == 0
    assert fires(trigger) == []


def test_a_due_schedule_starts_its_playbook_and_is_due_again(tenant: Tenant) -> None:
    due = database_now().replace(microsecond=0)
    trigger = schedule(tenant, next_due_at=due)

    assert fire_due() == 1
    assert fire_due() == 0

    execution = Execution.objects.get(playbook_id=trigger.playbook_id)
    assert execution.inputs["schedule"] == {
        "trigger_id": str(trigger.pk), "cron": NIGHTLY, "fire_at": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip
    assert execution.actor == {"kind": "trigger", "id": str(trigger.pk), "name": "schedule", "person": ""}
    assert reread(trigger).next_due_at == next_fire(NIGHTLY, database_now())
    assert trigger.last_execution_id == execution.pk
    assert trigger.last_fired_at == execution.created_at
    assert trigger.last_missed == ""


@pytest.mark.parametrize(("policy", "made"), [("skip", []), ("once", [0]), ("all", [3, 2, 1, 0])])
def test_after_a_downtime_each_policy_makes_its_fires(tenant: Tenant, policy: str, made: list[int]) -> None:
    trigger = schedule(tenant, next_due_at=nights_ago(3), missed_policy=policy)

    assert fire_due() == len(made)
    assert fire_due() == 0

    assert fires(trigger) == [nights_ago(count) for count in made]
    assert reread(trigger).next_due_at == next_fire(NIGHTLY, database_now())
    assert bool(trigger.last_missed) == (policy != "all")


def test_of_very_many_missed_fires_a_hundred_are_made_and_the_rest_told(tenant: Tenant) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    trigger = schedule(tenant, "*/5 * * * *", next_due_at=long_ago, missed_policy="all")

    assert fire_due() + fire_due() in (100, 101)  # one more if a fire of now falls between

    assert fires(trigger)[0] > database_now() - timedelta(minutes=5 * 102)
    assert "2026-01-01T00:00:00Z" in reread(trigger).last_missed
    assert trigger.last_error == ""


def test_a_fire_whose_row_was_set_back_gives_the_execution_it_gave(tenant: Tenant) -> None:
    due = nights_ago(0)
    trigger = schedule(tenant, next_due_at=due)
    fire_due()

    for _ in range(3):
        Trigger.objects.filter(pk=trigger.pk).update(next_due_at=due)
        fire_due()

    assert fires(trigger) == [due]


@pytest.fixture
def crash() -> Iterator[None]:
    class Crash(Exception):
        pass

    def act(name: str) -> None:
        if name == "schedule.started":
            raise Crash

    failpoints.install(act)
    yield
    failpoints.install(None)


def test_a_crash_between_start_and_advance_leaves_neither(tenant: Tenant, crash: None) -> None:
    due = nights_ago(0)
    trigger = schedule(tenant, next_due_at=due)

    assert fire_due() == 0
    assert fires(trigger) == []
    assert reread(trigger).next_due_at == due
    assert "Crash" in trigger.last_error

    failpoints.install(None)
    assert fire_due() == 1
    assert fires(trigger) == [due]
    assert reread(trigger).last_error == ""


def test_one_schedule_that_breaks_keeps_no_other_from_firing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = schedule(tenant, next_due_at=nights_ago(1))
    good = schedule(tenant, next_due_at=nights_ago(0))
    whole = triggering.fire_schedule

    def breaking(*, trigger: Trigger, **more: Any) -> Execution:
        if trigger.pk == broken.pk:
            raise ValueError("broken")
        return whole(trigger=trigger, **more)

    monkeypatch.setattr(scheduling, "fire_schedule", breaking)

    assert fire_due() == 1
    assert len(fires(good)) == 1
    assert "ValueError" in reread(broken).last_error


@pytest.mark.parametrize("how", ["revoked", "disabled", "needs an input"])
def test_a_fire_that_is_refused_for_good_is_told_and_passed_over(tenant: Tenant, how: str) -> None:
    if how == "needs an input":
        needing = one_step(saying().steps["a"], inputs={"host": {"type": "String", "required": True}})
        version = store_workflow(tenant, needing, trigger={"event": "schedule", "cron": NIGHTLY})
        trigger = Trigger.objects.get(playbook_id=version.playbook_id)
    else:
        trigger = schedule(tenant)
    if how == "revoked":
        PlaybookVersion.objects.filter(playbook_id=trigger.playbook_id).update(is_revoked=True)
    if how == "disabled":
        Playbook.objects.filter(pk=trigger.playbook_id).update(is_enabled=False)
    Trigger.objects.filter(pk=trigger.pk).update(next_due_at=nights_ago(0))

    assert fire_due() == 0

    assert reread(trigger).next_due_at == next_fire(NIGHTLY, database_now())
    assert how.partition(" ")[0] in trigger.last_error or "host" in trigger.last_error
    assert trigger.last_error_at is not None
    assert trigger.last_fired_at is None


def test_above_the_queue_limit_a_schedule_stays_due_and_others_tenants_go_on(tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 1
    due = nights_ago(0)
    first, second = (schedule(tenant, next_due_at=due) for _ in range(2))
    theirs = schedule(make_tenant(), next_due_at=due + timedelta(hours=1))

    assert fire_due() == 2
    assert len(fires(theirs)) == 1
    [waiting] = [found for found in (first, second) if not fires(found)]
    assert reread(waiting).next_due_at == due
    assert waiting.last_error.startswith("queue_full")

    settings.SALLYPORT_QUEUE_LIMIT = 100
    assert fire_due() == 1
    assert fires(waiting) == [due]
    assert reread(waiting).last_error == ""


def test_a_schedule_stored_before_schedules_fired_is_due_from_now_on(tenant: Tenant) -> None:
    trigger = schedule(tenant, next_due_at=None)

    assert fire_due() == 0
    assert reread(trigger).next_due_at == next_fire(NIGHTLY, database_now())
    assert fires(trigger) == []


@pytest.mark.parametrize("due", [None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_stored_line_that_never_fires_is_switched_off_and_told(tenant: Tenant, due: datetime | None) -> None:
    trigger = schedule(tenant, next_due_at=due, cron="0 0 30 2 *")

    assert fire_due() == 0
    assert not reread(trigger).is_enabled
    assert "0 0 30 2 *" in trigger.last_error


@pytest.mark.parametrize("columns", [{"is_enabled": False}, {"event": "webhook"}])
def test_what_is_switched_off_or_no_schedule_is_not_fired(tenant: Tenant, columns: dict[str, Any]) -> None:
    trigger = schedule(tenant, next_due_at=nights_ago(0), **columns)

    assert fire_due() == 0
    assert fires(trigger) == []


def test_schedules_of_a_tenant_that_is_switched_off_wait(tenant: Tenant) -> None:
    trigger = schedule(tenant, next_due_at=nights_ago(0))
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)

    assert fire_due() == 0
    assert fires(trigger) == []


def test_a_document_stored_again_keeps_the_schedules_past_and_next_fire(tenant: Tenant) -> None:
    trigger = schedule(tenant, next_due_at=nights_ago(0))
    fire_due()
    before = reread(trigger)
    Trigger.objects.filter(pk=trigger.pk).update(missed_policy="all", next_due_at=nights_ago(0))

    set_document_trigger(trigger.playbook, {"event": "schedule", "cron": NIGHTLY})

    kept = Trigger.objects.get(playbook=trigger.playbook)
    assert (kept.pk, kept.last_execution_id, kept.missed_policy) == (trigger.pk, before.last_execution_id, "all")
    assert kept.next_due_at == nights_ago(0)
    fire_due()
    assert len(fires(trigger)) == 1


def test_a_document_with_another_line_is_due_from_now_on(tenant: Tenant) -> None:
    trigger = schedule(tenant, next_due_at=nights_ago(5))

    set_document_trigger(trigger.playbook, {"event": "schedule", "cron": "0 4 * * *"})

    assert reread(trigger).next_due_at == next_fire("0 4 * * *", database_now())
    assert fire_due() == 0


def test_a_document_with_another_event_has_another_trigger(tenant: Tenant) -> None:
    trigger = schedule(tenant)

    set_document_trigger(trigger.playbook, {"event": "finding.new", "conditions": {"a": 1}})

    [found] = Trigger.objects.filter(playbook=trigger.playbook)
    assert (found.pk != trigger.pk, found.event, found.conditions) == (True, "finding.new", {"a": 1})
