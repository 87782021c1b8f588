"""Kill switches: set and lifted by people, with a reason. The rows are the record; they are never deleted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import OperationalError, connection, transaction

from accounts.models import Tenant
from accounts.permissions import PLATFORM
from connectors import registry
from connectors.base import EffectClass
from core.actors import Actor
from core.errors import Conflict, FieldError, Forbidden, Invalid
from executions import events
from executions.gate_models import Switch, SwitchKind
from executions.services.scoping import Scope, connection_scope, playbook_scope
from executions.switches import LOCK_OUT_INTENTS

log = logging.getLogger(__name__)

LONGEST_REASON = 2_000
#: how long a switch waits for an intent whose commit hangs; the switch is needed all the same
PATIENCE = "5s"

#: kinds that may hold for all tenants
EVERYWHERE = frozenset({SwitchKind.GLOBAL, SwitchKind.CONNECTOR, SwitchKind.EFFECT_CLASS})


class SwitchInvalid(Invalid):
    code = "switch_invalid"


class SwitchIsOn(Conflict):
    code = "switch_is_on"


class SwitchWasLifted(Conflict):
    code = "switch_was_lifted"


class MayNotSwitch(Forbidden):
    code = "may_not_switch"


@dataclass(frozen=True)
class SwitchOrder:
    """A checked order: what to stop. ``tenant`` None: for all tenants."""

    tenant: Tenant | None
    kind: SwitchKind
    scope: Scope
    blocks_reads: bool
    reason: str


def set_switch(
    *,
    tenant: Tenant | None,
    kind: str,
    reason: str,
    actor: Actor,
    now: datetime,
    value: str = "",
    blocks_reads: bool = False,
) -> Switch:
    """Stop calls: from this commit on no intent commits that the switch is over, until it is lifted.

    ``tenant`` None: for all tenants, which takes the role platform_admin with tenant:write; else settings:write.
    ``value``: a connector's name, an effect class, or the name or id of a connection or playbook. ``blocks_reads``:
    calls that only read stop too; naming the class read says so by itself.
    Raises MayNotSwitch, SwitchInvalid, SwitchIsOn.
    """
    order = check_switch(tenant=tenant, kind=kind, value=value, blocks_reads=blocks_reads, reason=reason, actor=actor)
    with transaction.atomic():
        _lock_out_intents()
        found = Switch.objects.filter(tenant=tenant, kind=order.kind, value=order.scope.value, lifted_at=None).first()
        if found is not None:
            raise SwitchIsOn(
                f"This switch is on already, since {found.set_at:%Y-%m-%dT%H:%M:%SZ} by {found.set_by}. Lift it first.",
                switch=str(found.pk),
            )
        switch = Switch.objects.create(
            tenant=tenant,
            kind=order.kind,
            value=order.scope.value,
            label=order.scope.label,
            blocks_reads=order.blocks_reads,
            reason=order.reason,
            set_by=actor.name,
            set_by_person=actor.person,
            set_at=now,
        )
        transaction.on_commit(lambda: log.error("alarm.switch_on", extra=_told(switch)))
    return switch


def check_switch(
    *, tenant: Tenant | None, kind: str, value: str, blocks_reads: bool, reason: str, actor: Actor
) -> SwitchOrder:
    """Return the order, resolved. Raises MayNotSwitch and SwitchInvalid; changes nothing."""
    if not _may_set(tenant, actor):
        raise MayNotSwitch(_needed(tenant))
    if kind not in SwitchKind.values:
        raise _wrong("kind", f"must be one of {', '.join(SwitchKind.values)}")
    found = SwitchKind(kind)
    if found == SwitchKind.GLOBAL and tenant is not None:
        raise _wrong("kind", "global holds for all tenants; for one tenant say tenant")
    if found not in EVERYWHERE and tenant is None:
        raise _wrong("kind", f"{kind} belongs to one tenant; for all tenants say global, connector or effect_class")
    scope = _scope(found, value.strip(), tenant)
    names_reads = found == SwitchKind.EFFECT_CLASS and scope.value == EffectClass.READ
    return SwitchOrder(tenant, found, scope, blocks_reads or names_reads, checked_reason(reason))


def lift_switch(*, switch: Switch, reason: str, actor: Actor, now: datetime) -> Switch:
    """Let calls go on: what waited is dispatched again. Raises MayNotSwitch, SwitchInvalid, SwitchWasLifted."""
    if not may_lift(switch, actor):
        raise MayNotSwitch(_needed(switch.tenant))
    check_four_eyes(switch, actor)
    given = checked_reason(reason)
    with transaction.atomic():
        found = Switch.objects.select_for_update(of=("self",)).get(pk=switch.pk)
        if found.lifted_at is not None:
            raise SwitchWasLifted(
                f"The switch was lifted at {found.lifted_at:%Y-%m-%dT%H:%M:%SZ} by {found.lifted_by}."
            )
        found.lifted_at, found.lifted_by, found.lift_reason = now, actor.name, given
        found.save(update_fields=("lifted_at", "lifted_by", "lift_reason"))
        transaction.on_commit(lambda: log.warning("switch.lifted", extra=_told(found) | {"lifted_by": actor.name}))
        transaction.on_commit(events.wake_dispatcher)
    return found


def may_lift(switch: Switch, actor: Actor) -> bool:
    """Whether the actor may lift this switch: whoever may set one like it."""
    return _may_set(switch.tenant, actor)


def check_four_eyes(switch: Switch, actor: Actor) -> None:
    """Raise MayNotSwitch for whoever set the switch, or is no person, where the tenant wants four eyes (SEC-66)."""
    if switch.tenant is None or not switch.tenant.four_eyes:
        return
    if actor.person is None or actor.person == switch.set_by_person:
        raise MayNotSwitch("This tenant lifts switches by four eyes: a person who did not set this one has to lift it.")


def checked_reason(reason: str) -> str:
    text = reason.strip()
    if not text or "\x00" in text:
        raise _wrong("reason", "must say why, in words")
    if len(text) > LONGEST_REASON:
        raise _wrong("reason", f"must have at most {LONGEST_REASON} characters")
    return text


def _may_set(tenant: Tenant | None, actor: Actor) -> bool:
    if tenant is None:
        return PLATFORM in actor.roles and actor.may("tenant:write")
    return actor.may("settings:write")


def _needed(tenant: Tenant | None) -> str:
    if tenant is None:
        return f"A switch for all tenants takes the role {PLATFORM} with the permission tenant:write."
    return "A switch takes the permission settings:write."


def _scope(kind: SwitchKind, value: str, tenant: Tenant | None) -> Scope:
    if kind in (SwitchKind.GLOBAL, SwitchKind.TENANT):
        if value:
            raise _wrong("value", f"must be left out for {kind}")
        return Scope("", tenant.name if tenant else "")
    if kind == SwitchKind.CONNECTOR:
        return _one_of(value, list(registry.ENTRIES))
    if kind == SwitchKind.EFFECT_CLASS:
        return _one_of(value, [found.value for found in EffectClass])
    assert tenant is not None
    return connection_scope(tenant, value) if kind == SwitchKind.CONNECTION else playbook_scope(tenant, value)


def _one_of(value: str, words: list[str]) -> Scope:
    if value not in words:
        raise _wrong("value", f"must be one of {', '.join(words)}")
    return Scope(value, value)


def _wrong(field: str, message: str) -> SwitchInvalid:
    return SwitchInvalid(f"{field}: {message}.", fields=[FieldError(field, message)])


def _lock_out_intents() -> None:
    """Wait for the intents that are committing at this moment, so that none commits after this transaction.

    Where one of them hangs for long, a switch without that order is better than none: it stops everything that looks
    after its commit. See ``switches.SWITCHED_PLAN``.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute(LOCK_OUT_INTENTS)
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError:
        log.warning("switch.intents_hang", exc_info=True)


def _told(switch: Switch) -> dict[str, str | UUID | None]:
    return {
        "switch": str(switch.pk),
        "tenant": str(switch.tenant_id) if switch.tenant_id else "all",
        "kind": switch.kind,
        "value": switch.label or switch.value,
        "by": switch.set_by,
        "reason": switch.reason,
    }
