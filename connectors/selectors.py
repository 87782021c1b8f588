"""Reads of connections. Every query starts from the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from connectors.models import Connection
from core.errors import NotFound


class ConnectionNotFound(NotFound):
    code = "connection_not_found"


def of(tenant_id: UUID) -> QuerySet[Connection]:
    """Return the tenant's connections, ordered by name."""
    return Connection.objects.filter(tenant_id=tenant_id).order_by("name", "id")


def get_connection(tenant_id: UUID, *, name: str) -> Connection:
    """Return one connection by name. Raises NotFound."""
    found = of(tenant_id).filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no connection {name!r}.", name=name)
    return found


def get_connection_by_id(tenant_id: UUID, pk: UUID) -> Connection:
    """Raises ConnectionNotFound, also for another tenant's."""
    found = of(tenant_id).filter(pk=pk).first()
    if found is None:
        raise ConnectionNotFound("There is no such connection.")
    return found


def list_names(tenant_id: UUID) -> frozenset[str]:
    """Return the names of the tenant's connections, for the catalogue that import and checker get."""
    return frozenset(of(tenant_id).values_list("name", flat=True))


def list_of_kinds(tenant_id: UUID, *, kinds: frozenset[str]) -> list[Connection]:
    """Return the tenant's connections of these kinds, disabled ones too, so that a refusal can say so."""
    return list(of(tenant_id).filter(kind__in=kinds))
