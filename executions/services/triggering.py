"""What is outside starts executions: one event starts one execution a playbook at most, however often it is delivered.

A trigger's start key is SHA-256 over the trigger and what makes the event the same: its id; without one, the trigger's
dedup fields; without those, for a signed request, what was signed. Such keys are kept for thirty days.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from accounts.models import Tenant
from core.actors import Actor, ActorKind
from core.errors import Conflict, DomainError
from core.models import uuid7
from executions.engine.template_text import UndefinedPath, reach
from executions.engine.triggers import matches
from executions.matching import re2_search
from executions.models import Execution
from executions.services.starting import StartKeyReused, StartRefused, start_execution
from playbooks import selectors as playbooks
from playbooks import services as keeping
from playbooks.models import Trigger

log = logging.getLogger(__name__)

#: refusals that the state of the playbook makes, not what came in
_STATE: Final = frozenset({"playbook_revoked", "playbook_not_yet_valid", "playbook_expired"})
_ABSENT: Final = {"absent": True}


class NotStartable(Conflict):
    """The trigger or its playbook may not start anything now; ``code`` says which of them and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Refused:
    """One trigger that answered to an event and could start nothing."""

    trigger: Trigger
    error: DomainError


@dataclass
class Taken:
    """What an event came to. ``matching`` counts the triggers whose conditions it met."""

    event_id: str
    started: list[Execution] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    matching: int = 0


@dataclass(frozen=True)
class Identity:
    """What makes an event the same for one trigger: the start key, and the digest of what must then be equal too."""

    key: str
    digest: str


def emit_event(
    *, tenant: Tenant, event: str, data: Mapping[str, Any], now: datetime, event_id: str | None = None
) -> list[Execution]:
    """As ``take_event``, for whoever asks for the executions alone."""
    return take_event(tenant=tenant, event=event, data=data, now=now, event_id=event_id).started


def take_event(
    *, tenant: Tenant, event: str, data: Mapping[str, Any], now: datetime, event_id: str | None = None
) -> Taken:
    """Start every enabled playbook whose trigger answers to this event.

    ``event`` is a word of contracts/s4e.md (``finding.new``); its steps see ``data`` under the word before the dot.
    The same ``event_id`` again gives the same executions; without one, a trigger's dedup fields tell events apart, and
    where it has none, each event is a new one. Raises StartKeyReused for a known ``event_id`` with other data; then
    nothing was started.
    """
    taken = Taken(event_id or str(uuid7()))
    triggers = list(playbooks.list_triggers(tenant, event))
    identities = {trigger.pk: _identity_of_event(trigger, event_id, taken.event_id, data) for trigger in triggers}
    _refuse_other_data(tenant, identities.values())
    seen: set[UUID] = set()
    for trigger in triggers:
        if trigger.playbook_id in seen or not matches(trigger.conditions, data, re2_search):
            continue
        seen.add(trigger.playbook_id)
        taken.matching += 1
        try:
            taken.started.append(_start(trigger, data, identities[trigger.pk], now))
        except StartKeyReused:
            # Two deliveries with one id and different data, at the same moment.
            raise
        except DomainError as error:
            # A playbook that may not start keeps no other from starting.
            _note_refusal(trigger, error, now)
            taken.refused.append(Refused(trigger, error))
    return taken


def take_hook(
    *, trigger: Trigger, data: Mapping[str, Any], now: datetime, event_id: str | None, signed: bytes
) -> Execution | None:
    """Start the playbook of a webhook trigger for a request whose signature was checked; None if its conditions are
    not met.

    ``signed`` is what the signature is over: it tells requests apart that have no id and no dedup fields. Where only
    the body is signed, the dedup fields go before the id, which anybody on the way could have changed.
    Raises NotStartable, StartKeyReused, StartRefused, InputInvalid, QueueFull.
    """
    if trigger.signature == Trigger.Signature.GITHUB and _has_fields(trigger, data):
        event_id = None
    identity = _identity(trigger, event_id, data, otherwise=hashlib.sha256(signed).hexdigest())
    _refuse_other_data(trigger.tenant, [identity])
    if not trigger.is_enabled:
        raise NotStartable("trigger_disabled", "The trigger is disabled.")
    if not matches(trigger.conditions, data, re2_search):
        return None
    try:
        return _start(trigger, data, identity, now)
    except StartKeyReused:
        raise
    except DomainError as error:
        _note_refusal(trigger, error, now)
        raise


def fire_by_hand(
    *,
    trigger: Trigger,
    data: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    start_key: str | None = None,
    start_digest: str = "",
) -> Execution:
    """Start what a trigger starts, now and in the name of the actor, whatever its conditions and whether it is enabled.

    Raises NotStartable, StartKeyReused, StartRefused, InputInvalid, QueueFull.
    """
    if trigger.event == "schedule" and not data:
        data = schedule_data(trigger, now)
    return _start(trigger, data, Identity(start_key or "", start_digest), now, actor=actor)


def fire_schedule(*, trigger: Trigger, fire_at: datetime, now: datetime) -> Execution:
    """Start a schedule's execution for one fire; the same fire again gives the same execution.

    Raises NotStartable, StartRefused, InputInvalid, QueueFull.
    """
    data = schedule_data(trigger, fire_at)
    key = _key(trigger, "schedule", data["fire_at"])
    return _start(trigger, data, Identity(key, key), now)


def schedule_data(trigger: Trigger, fire_at: datetime) -> dict[str, Any]:
    """What the steps see as ``schedule``."""
    return {
        "trigger_id": str(trigger.pk),
        "cron": trigger.cron,
        "fire_at": fire_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _start(
    trigger: Trigger, data: Mapping[str, Any], identity: Identity, now: datetime, *, actor: Actor | None = None
) -> Execution:
    _check_playbook(trigger)
    version = playbooks.latest_version(trigger.playbook)
    given = _given(trigger, data)
    inputs: dict[str, Any] = {"variables": given} if given else {}
    if version.dialect == "s4e":
        workflow = playbooks.workflow_of(version)
        inputs = {**playbooks.start_values(workflow, given), "asset": None, trigger.event.partition(".")[0]: dict(data)}
    try:
        execution = start_execution(
            tenant=trigger.tenant,
            version=version,
            inputs=inputs,
            actor=actor or Actor(kind=ActorKind.TRIGGER, id=str(trigger.pk), name=trigger.event),
            start_key=identity.key or None,
            start_digest=identity.digest,
            now=now,
        )
    except StartRefused as error:
        if error.code in _STATE:
            raise NotStartable(error.code, error.message) from error
        raise
    if actor is None:
        keeping.note_fired(trigger_id=trigger.pk, execution_id=execution.pk, at=execution.created_at)
    return execution


def _check_playbook(trigger: Trigger) -> None:
    if trigger.playbook.archived_at is not None:
        raise NotStartable("playbook_archived", "The playbook was deleted.")
    if not trigger.playbook.is_enabled:
        raise NotStartable("playbook_disabled", "The playbook is disabled.")


def _given(trigger: Trigger, data: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the trigger takes from the data; a path that leads nowhere gives none."""
    found = {name: _value(path, data) for name, path in trigger.parameters.items()}
    return {name: value for name, value in found.items() if value is not _ABSENT}


def _identity_of_event(trigger: Trigger, event_id: str | None, made_id: str, data: Mapping[str, Any]) -> Identity:
    return _identity(trigger, event_id, data, otherwise=made_id)


def _identity(trigger: Trigger, event_id: str | None, data: Mapping[str, Any], *, otherwise: str) -> Identity:
    """Two events that differ only beside the dedup fields are the same, so the digest is that of the fields."""
    if event_id is not None:
        return Identity(_key(trigger, "", event_id), _digest(data))
    if _has_fields(trigger, data):
        fields = _digest([_value(path, data) for path in trigger.dedup_fields])
        return Identity(_key(trigger, "fields", fields), fields)
    return Identity(_key(trigger, "octets", otherwise), _digest(data))


def _has_fields(trigger: Trigger, data: Mapping[str, Any]) -> bool:
    """Without a single one of its dedup fields, an event is like no other."""
    return any(_value(path, data) is not _ABSENT for path in trigger.dedup_fields)


def _value(path: str, data: Mapping[str, Any]) -> Any:
    try:
        return reach(tuple(path.split(".")), data)
    except UndefinedPath:
        return _ABSENT


def _key(trigger: Trigger, kind: str, what: str) -> str:
    """The kinds are kept apart, so that no sender's id is taken for a fire of the clock."""
    return hashlib.sha256(
        f"trigger{kind and '-' + kind}|{trigger.pk}|{what}".encode("utf-8", "surrogatepass")
    ).hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _refuse_other_data(tenant: Tenant, identities: Any) -> None:
    digests = {identity.key: identity.digest for identity in identities}
    known = Execution.objects.filter(tenant=tenant, start_key__in=digests).values_list("start_key", "start_digest")
    if any(digests[key] != digest for key, digest in known if key is not None):
        raise StartKeyReused("An event with this id came before, with other data. A new event needs a new id.")


def _note_refusal(trigger: Trigger, error: DomainError, now: datetime) -> None:
    log.warning("trigger.refused", extra={"trigger": str(trigger.pk), "code": error.code})
    keeping.note_refused(trigger_id=trigger.pk, why=f"{error.code}: {error.message}", at=now)
