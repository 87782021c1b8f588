"""Fires the schedules that are due: triggers of the event ``schedule``, rows with ``next_due_at``.

Each fire is one transaction: the trigger's row locked, the execution started under the key of this fire, the next due
time written. Any number of sweeps may do this at once; they pass by what another holds. A fire that is repeated all the
same (rows restored from a copy) finds its key taken and gives the execution it gave before.

Lock order: trigger, then the execution that is inserted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from core import failpoints
from core.errors import DomainError
from executions.admission import QueueFull
from executions.services.triggering import fire_schedule
from playbooks import services as playbooks
from playbooks.models import Trigger
from playbooks.schedules import MOST_MISSED, MissedPolicy, NeverFires, Plan, next_fire, plan

log = logging.getLogger(__name__)

BATCH = 100

# Index trigger_due (next_due_at, partial). A schedule without a next fire was stored before schedules fired, or was
# switched on by hand: it gets one.
DUE = """
SELECT t.id, clock_timestamp() FROM playbooks_trigger t JOIN accounts_tenant n ON n.id = t.tenant_id
 WHERE t.event = 'schedule' AND t.is_enabled AND n.is_active
   AND (t.next_due_at IS NULL OR t.next_due_at <= clock_timestamp())
   AND NOT t.id = ANY(%s) AND NOT t.tenant_id = ANY(%s)
 ORDER BY t.next_due_at NULLS FIRST, t.id LIMIT 1 FOR UPDATE OF t SKIP LOCKED
"""


@dataclass
class _PassedBy:
    """What this pass leaves to the next one: triggers that cannot be fired, and tenants whose queue is full."""

    triggers: list[UUID] = field(default_factory=list)
    tenants: list[UUID] = field(default_factory=list)


def fire_due() -> int:
    """Fire what is due, the longest overdue first; return how many executions were started."""
    started = 0
    passed_by = _PassedBy()
    for _ in range(BATCH):
        fired = _fire_next(passed_by)
        if fired is None:
            break
        started += fired
    return started


@transaction.atomic
def _fire_next(passed_by: _PassedBy) -> bool | None:
    """Fire one schedule; True if it started something, None when nothing else is due."""
    found = _lock_due(passed_by)
    if found is None:
        return None
    trigger, now = found
    try:
        with transaction.atomic():
            return _fire(trigger, now)
    except QueueFull as error:
        # It stays due: the tenant's schedules wait until there is room.
        passed_by.tenants.append(trigger.tenant_id)
        _tell(trigger, f"{error.code}: {error.message}", now)
    except Exception as error:
        if not connection.is_usable():
            raise
        # One schedule that cannot be fired must not keep the others from it; it is logged each time.
        passed_by.triggers.append(trigger.pk)
        log.exception("schedule.failed", extra={"trigger": str(trigger.pk)})
        _tell(trigger, f"could not be fired: {type(error).__name__}", now)
    return False


def _lock_due(passed_by: _PassedBy) -> tuple[Trigger, datetime] | None:
    with connection.cursor() as cursor:
        cursor.execute(DUE, (passed_by.triggers, passed_by.tenants))
        row = cursor.fetchone()
    if row is None:
        return None
    return Trigger.objects.select_related("playbook", "tenant").get(pk=row[0]), row[1]


def _fire(trigger: Trigger, now: datetime) -> bool:
    try:
        if trigger.next_due_at is None:
            _move_on(trigger, next_fire(trigger.cron, now))
            return False
        due = plan(trigger.cron, since=trigger.next_due_at, now=now, policy=MissedPolicy(trigger.missed_policy))
    except NeverFires as error:
        log.warning("schedule.never_fires", extra={"trigger": str(trigger.pk)})
        playbooks.switch_off_schedule(trigger_id=trigger.pk, why=str(error), at=now)
        return False
    started = due.fire_at is not None and _start(trigger, due.fire_at, now)
    failpoints.reach("schedule.started")
    if due.left_out:
        _tell_left_out(trigger, due)
    _move_on(trigger, due.next_due_at)
    return started


def _start(trigger: Trigger, fire_at: datetime, now: datetime) -> bool:
    try:
        # A savepoint: what is refused halfway leaves nothing behind.
        with transaction.atomic():
            fire_schedule(trigger=trigger, fire_at=fire_at, now=now)
    except QueueFull:
        raise
    except DomainError as error:
        # Refused for good: it is shown on the trigger, and the schedule goes on with its next fire.
        log.warning("trigger.refused", extra={"trigger": str(trigger.pk), "code": error.code})
        _tell(trigger, f"{error.code}: {error.message}", now)
        return False
    return True


def _move_on(trigger: Trigger, next_due_at: datetime) -> None:
    Trigger.objects.filter(pk=trigger.pk).update(next_due_at=next_due_at)


def _tell_left_out(trigger: Trigger, due: Plan) -> None:
    first = f"{due.first_missed:%Y-%m-%dT%H:%M:%SZ}"
    until = (
        f"before {due.fire_at:%Y-%m-%dT%H:%M:%SZ}" if due.fire_at else f"before {due.next_due_at:%Y-%m-%dT%H:%M:%SZ}"
    )
    log.warning("schedule.missed", extra={"trigger": str(trigger.pk), "first": first, "until": until})
    most = f", beyond the latest {MOST_MISSED}" if trigger.missed_policy == MissedPolicy.ALL else ""
    what = f"from {first} to {until}: left out by the policy {trigger.missed_policy}{most}"
    playbooks.note_missed(trigger_id=trigger.pk, what=what)


def _tell(trigger: Trigger, why: str, now: datetime) -> None:
    if trigger.last_error != why[:500]:
        playbooks.note_refused(trigger_id=trigger.pk, why=why, at=now)
