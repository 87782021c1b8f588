"""Caps: how many step runs of a tenant, a connection or a playbook may run at once; and a breaker closed by hand."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from accounts.models import Tenant
from core.actors import Actor
from core.errors import Conflict, FieldError, Forbidden, Invalid
from executions import breakers, events
from executions.gate_models import Breaker, Cap, CapKind
from executions.services.scoping import Scope, connection_scope, playbook_scope

log = logging.getLogger(__name__)

MOST = 1_000_000


class CapInvalid(Invalid):
    code = "cap_invalid"


class MayNotCap(Forbidden):
    code = "may_not_cap"


class BreakerIsClosed(Conflict):
    code = "breaker_is_closed"


@transaction.atomic
def set_cap(*, tenant: Tenant, kind: str, most: int, actor: Actor, now: datetime, value: str = "") -> Cap:
    """Let at most ``most`` step runs run at once, from the next claim on; what runs already goes on.

    ``value``: name or id of a connection or playbook, "" for the tenant. Set again it replaces the number.
    Raises MayNotCap, CapInvalid, ScopeUnknown.
    """
    _check_may(actor)
    if not 1 <= most <= MOST:
        raise _wrong("limit", f"must be a whole number from 1 to {MOST}; to stop everything set a switch")
    scope = _scope(tenant, kind, value.strip())
    cap, _ = Cap.objects.update_or_create(
        tenant=tenant,
        kind=kind,
        value=scope.value,
        defaults={"label": scope.label, "most": most, "set_by": actor.name, "set_at": now},
    )
    log.info("cap.set", extra={"tenant": str(tenant.pk), "cap": str(cap), "by": actor.name})
    transaction.on_commit(events.wake_dispatcher)
    return cap


@transaction.atomic
def remove_cap(*, cap: Cap, actor: Actor) -> None:
    """Take a cap away. Raises MayNotCap."""
    _check_may(actor)
    Cap.objects.filter(pk=cap.pk).delete()
    log.info("cap.removed", extra={"tenant": str(cap.tenant_id), "cap": str(cap), "by": actor.name})
    transaction.on_commit(events.wake_dispatcher)


def close_breaker(*, breaker: Breaker, actor: Actor) -> Breaker:
    """Let calls of a connection be made at once, on a person's word. Raises MayNotCap, BreakerIsClosed."""
    _check_may(actor)
    if not breakers.note_answer(breaker.connection_id, breaker.tenant_id):
        raise BreakerIsClosed("The breaker is closed: nothing waits for it.")
    log.warning("breaker.closed_by_hand", extra={"connection": str(breaker.connection_id), "by": actor.name})
    breaker.refresh_from_db()
    return breaker


def _scope(tenant: Tenant, kind: str, value: str) -> Scope:
    if kind == CapKind.CONNECTION:
        return connection_scope(tenant, value)
    if kind == CapKind.PLAYBOOK:
        return playbook_scope(tenant, value)
    if kind != CapKind.TENANT:
        raise _wrong("kind", f"must be one of {', '.join(CapKind.values)}")
    if value:
        raise _wrong("value", "must be left out for tenant")
    return Scope("", tenant.name)


def _check_may(actor: Actor) -> None:
    if not actor.may("settings:write"):
        raise MayNotCap("This takes the permission settings:write.")


def _wrong(field: str, message: str) -> CapInvalid:
    return CapInvalid(f"{field}: {message}.", fields=[FieldError(field, message)])
