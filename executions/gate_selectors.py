"""Reads of switches, caps and breakers, always from a tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Tenant
from core.errors import NotFound
from executions.gate_models import Breaker, Cap, Switch


class SwitchNotFound(NotFound):
    code = "switch_not_found"


class CapNotFound(NotFound):
    code = "cap_not_found"


class BreakerNotFound(NotFound):
    code = "breaker_not_found"


def list_switches(tenant: Tenant, *, active: bool) -> QuerySet[Switch]:
    """The switches over a tenant, its own and those for all tenants, the newest first. ``active``: only what is on."""
    rows = Switch.objects.filter(Q(tenant=tenant) | Q(tenant=None)).order_by("-set_at", "-id")
    return rows.filter(lifted_at=None) if active else rows


def get_switch(tenant: Tenant, switch_id: UUID) -> Switch:
    """Raises SwitchNotFound, also for another tenant's."""
    found = list_switches(tenant, active=False).filter(pk=switch_id).first()
    if found is None:
        raise SwitchNotFound("There is no such switch.")
    return found


def list_caps(tenant: Tenant) -> QuerySet[Cap]:
    return Cap.objects.filter(tenant=tenant).order_by("-set_at", "-id")


def get_cap(tenant: Tenant, cap_id: UUID) -> Cap:
    """Raises CapNotFound."""
    found = list_caps(tenant).filter(pk=cap_id).first()
    if found is None:
        raise CapNotFound("There is no such cap.")
    return found


def list_breakers(tenant: Tenant) -> QuerySet[Breaker]:
    """The breakers of connections whose calls failed at some time, the latest failure first."""
    rows = Breaker.objects.filter(tenant=tenant).select_related("connection")
    return rows.order_by("-last_failure_at", "-connection_id")


def get_breaker(tenant: Tenant, connection: str) -> Breaker:
    """Return a connection's breaker by the connection's name or id. Raises BreakerNotFound."""
    rows = Breaker.objects.filter(tenant=tenant).select_related("connection")
    found = rows.filter(connection__name=connection).first()
    try:
        found = found or rows.filter(connection_id=UUID(connection)).first()
    except ValueError:
        pass
    if found is None:
        raise BreakerNotFound("No call of such a connection has failed: it has no breaker.")
    return found
