"""Reads of connections. Every query starts from the tenant."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from connectors.models import Connection
from core.errors import NotFound


class ConnectionNotFound(NotFound):
    code = "connection_not_found"


def of(tenant_id: UUID) -> QuerySet[Connection]:
    """Return the tenant's connections, ordered by name."""
    return Connection.objects.filter(tenant_id=tenant_id).order_by("name", "id")


class _Read(NamedTuple):
    rows: list[tuple[Any, ...]]
    connections: list[Connection]


_read: OrderedDict[UUID, _Read] = OrderedDict()
_read_lock = threading.Lock()
#: tenants whose connections a process keeps
KEPT: Final = 200


def as_they_are(tenant_id: UUID) -> list[Connection]:
    """Return the tenant's connections as they are at this moment, read anew only where a row has changed.

    Who wrote a row and where it lies (xmin, ctid) tells. What is returned is shared with other threads: read only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, xmin::text, ctid::text FROM connectors_connection WHERE tenant_id = %s ORDER BY id",
            (tenant_id,),
        )
        rows = cursor.fetchall()
    found = _read.get(tenant_id)
    if found is None or found.rows != rows:
        found = _Read(rows, list(of(tenant_id)))
        with _read_lock:
            _read[tenant_id] = found
            while len(_read) > KEPT:
                _read.popitem(last=False)
    return found.connections


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
