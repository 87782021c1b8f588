"""Writing triggers. A schedule's next fire is set here whenever it is made, changed or enabled.

Lock order: playbook, trigger, then the rows of executions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from core.clock import database_now
from core.errors import Conflict, FieldError, Invalid
from playbooks import hooks
from playbooks.events import EVENTS
from playbooks.models import Playbook, Trigger
from playbooks.schedules import NeverFires, cron_fault, next_fire
from playbooks.selectors import TriggerNotFound

MOST_TRIGGERS: Final = 100  # of one playbook
MOST_FIELDS: Final = 20
LONGEST_PATH: Final = 200
#: how long the secret before a rotation may stay good
LONGEST_OVERLAP: Final = timedelta(days=7)

#: what only triggers of one event have
_ONLY_FOR: Final = {"cron": "schedule", "missed_policy": "schedule", "signature": "webhook"}
_NOT_FOR_SCHEDULES: Final = ("conditions", "dedup_fields", "parameters")
_OF_DOCUMENT: Final = ("conditions", "cron")


class TriggerInvalid(Invalid):
    code = "trigger_invalid"

    @classmethod
    def of(cls, faults: Sequence[FieldError]) -> TriggerInvalid:
        return cls(f"{faults[0].path}: {faults[0].message}", fields=faults)


class TooManyTriggers(Conflict):
    code = "too_many_triggers"


class SetByDocument(Conflict):
    """It stands in the playbook's document, which alone changes it."""

    code = "set_by_document"


class NoSecret(Conflict):
    """Only triggers of the event ``webhook`` have a secret."""

    code = "no_secret"


@dataclass(frozen=True)
class NewTrigger:
    """``secret`` is shown once; None for a trigger that has none."""

    trigger: Trigger
    secret: str | None


@transaction.atomic
def create_trigger(*, playbook: Playbook, event: str, **given: Any) -> NewTrigger:
    """Make a trigger beside the one of the document.

    ``given``: ``conditions`` (checked already), ``cron``, ``enabled``, ``missed_policy``, ``dedup_fields``,
    ``signature``, ``parameters``; all have defaults, but a schedule needs its cron line. Raises TriggerInvalid,
    TooManyTriggers.
    """
    _check(event, given, is_new=True)
    if Playbook.objects.select_for_update().get(pk=playbook.pk).triggers.count() >= MOST_TRIGGERS:
        raise TooManyTriggers(f"A playbook has at most {MOST_TRIGGERS} triggers.")
    trigger = Trigger(tenant_id=playbook.tenant_id, playbook=playbook, event=event)
    _assign(trigger, given)
    secret = None
    if event == "webhook":
        secret = hooks.new_secret()
        trigger.sealed_secret = hooks.sealed(trigger, secret)
    _plan_anew(trigger)
    trigger.save(force_insert=True)
    return NewTrigger(trigger, secret)


@transaction.atomic
def change_trigger(*, trigger: Trigger, **given: Any) -> Trigger:
    """Change what is given, of the names that ``create_trigger`` takes.

    A schedule that is enabled, or gets another cron line, is due next from now on; nothing before now counts as
    missed. Raises TriggerInvalid, SetByDocument.
    """
    trigger = _locked(trigger)
    if trigger.is_from_document and any(name in given for name in _OF_DOCUMENT):
        raise SetByDocument(
            "This trigger stands in the playbook's document, which says its conditions and its cron line. Change the "
            "document, or disable this trigger and make another one beside it."
        )
    _check(trigger.event, given, is_new=False)
    before = (trigger.is_enabled, trigger.cron)
    _assign(trigger, given)
    if before != (trigger.is_enabled, trigger.cron):
        _plan_anew(trigger)
    trigger.save()
    return trigger


def set_trigger_enabled(*, trigger: Trigger, enabled: bool) -> Trigger:
    """Switch a trigger on or off."""
    return change_trigger(trigger=trigger, enabled=enabled)


@transaction.atomic
def delete_trigger(*, trigger: Trigger) -> None:
    """Take a trigger away; what it started stays. Raises SetByDocument."""
    trigger = _locked(trigger)
    if trigger.is_from_document:
        raise SetByDocument("This trigger stands in the playbook's document. Disable it instead.")
    trigger.delete()


@transaction.atomic
def rotate_secret(*, trigger: Trigger, overlap: timedelta) -> NewTrigger:
    """Give a webhook trigger a new secret; the one before stays good for ``overlap``, at most seven days.

    Raises NoSecret.
    """
    trigger = _locked(trigger)
    if trigger.event != "webhook":
        raise NoSecret(f"A trigger of the event {trigger.event} has no secret; those of the event webhook have.")
    trigger.sealed_old_secret = hooks.resealed_as_old(trigger) if overlap else ""
    trigger.old_secret_until = database_now() + min(overlap, LONGEST_OVERLAP) if overlap else None
    secret = hooks.new_secret()
    trigger.sealed_secret = hooks.sealed(trigger, secret)
    trigger.save(update_fields=["sealed_secret", "sealed_old_secret", "old_secret_until"])
    return NewTrigger(trigger, secret)


def set_document_trigger(playbook: Playbook, document: Mapping[str, Any]) -> None:
    """Make or change the trigger that the playbook's document holds: ``{"event", "conditions", "cron"?}`` or nothing.

    One of the same event goes on with its past, its next fire, its secret and what else was set on it; a schedule
    whose cron line differs is due next from now on.
    """
    found = playbook.triggers.select_for_update().filter(is_from_document=True).first()
    if found is not None and found.event != document.get("event"):
        found.delete()
        found = None
    if not document:
        return
    trigger = found or Trigger(
        tenant_id=playbook.tenant_id, playbook=playbook, event=document["event"], is_from_document=True
    )
    trigger.conditions = dict(document.get("conditions") or {})
    cron = document.get("cron") or ""
    if found is None or trigger.cron != cron:
        trigger.cron = cron
        _plan_anew(trigger)
    trigger.save()


def note_fired(*, trigger_id: UUID, execution_id: UUID, at: datetime) -> None:
    """Show on the trigger what it started; a start before the one that is shown changes nothing.

    Waits for nobody: of many starts at once the trigger shows one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE playbooks_trigger SET last_fired_at = %s, last_execution_id = %s, last_error = '',"
            " last_error_at = NULL WHERE id IN (SELECT id FROM playbooks_trigger WHERE id = %s"
            " AND (last_fired_at IS NULL OR last_fired_at < %s) FOR UPDATE SKIP LOCKED)",
            (at, execution_id, trigger_id, at),
        )


def note_refused(*, trigger_id: UUID, why: str, at: datetime) -> None:
    """Show on the trigger why it started nothing."""
    Trigger.objects.filter(pk=trigger_id).update(last_error=why[:500], last_error_at=at)


def note_missed(*, trigger_id: UUID, what: str) -> None:
    """Show on a schedule which of its fires were left out."""
    Trigger.objects.filter(pk=trigger_id).update(last_missed=what[:200])


def switch_off_schedule(*, trigger_id: UUID, why: str, at: datetime) -> None:
    """Disable a schedule that can have no next fire."""
    Trigger.objects.filter(pk=trigger_id).update(
        is_enabled=False, next_due_at=None, last_error=why[:500], last_error_at=at
    )


def _locked(trigger: Trigger) -> Trigger:
    rows = Trigger.objects.select_for_update(of=("self",)).select_related("playbook", "tenant")
    found = rows.filter(pk=trigger.pk).first()
    if found is None:
        raise TriggerNotFound("There is no such trigger.")
    return found


def _assign(trigger: Trigger, given: Mapping[str, Any]) -> None:
    for name in ("conditions", "cron", "missed_policy", "dedup_fields", "signature", "parameters"):
        if name in given:
            setattr(trigger, name, given[name])
    if "enabled" in given:
        trigger.is_enabled = given["enabled"]


def _plan_anew(trigger: Trigger) -> None:
    """Count from now on. What the cron line cannot say is left to the sweep, which switches it off and says so."""
    trigger.next_due_at = None
    if trigger.event == "schedule" and trigger.is_enabled:
        try:
            trigger.next_due_at = next_fire(trigger.cron, database_now())
        except NeverFires:
            trigger.next_due_at = None


def _check(event: str, given: Mapping[str, Any], *, is_new: bool) -> None:
    faults: list[FieldError] = []
    if is_new and (event not in EVENTS or event == "manual"):
        faults.append(FieldError("event", f"Must be one of {', '.join(name for name in EVENTS if name != 'manual')}."))
    for name, only in _ONLY_FOR.items():
        if name in given and event != only:
            faults.append(FieldError(name, f"Goes only with the event {only}."))
    if event == "schedule":
        faults += [
            FieldError(name, "Does not go with a schedule, which brings no data.")
            for name in _NOT_FOR_SCHEDULES
            if given.get(name)
        ]
        faults += _cron_faults(given, is_new=is_new)
    for index, path in enumerate(given.get("dedup_fields", ())):
        faults += _path_faults(f"dedup_fields[{index}]", path)
    for name, path in given.get("parameters", {}).items():
        faults += _path_faults(f"parameters.{name[:100]}", path)
    for name in ("dedup_fields", "parameters"):
        if len(given.get(name, ())) > MOST_FIELDS:
            faults.append(FieldError(name, f"At most {MOST_FIELDS}."))
    if faults:
        raise TriggerInvalid.of(faults[:MOST_FIELDS])


def _cron_faults(given: Mapping[str, Any], *, is_new: bool) -> list[FieldError]:
    if "cron" not in given:
        return [FieldError("cron", "A schedule needs a cron line.")] if is_new else []
    fault = cron_fault(given["cron"])
    return [FieldError("cron", fault)] if fault else []


def _path_faults(where: str, path: Any) -> list[FieldError]:
    if isinstance(path, str) and len(path) <= LONGEST_PATH and all(path.split(".")):
        return []
    return [FieldError(where, f"Must be a path of names joined by dots, of {LONGEST_PATH} characters at most.")]
