"""What a switch or a cap is over: a connection or playbook of a tenant, by name or id."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from accounts.models import Tenant
from connectors import selectors as connectors
from core.errors import FieldError, Invalid
from playbooks import selectors as playbooks


class ScopeUnknown(Invalid):
    code = "scope_unknown"


@dataclass(frozen=True)
class Scope:
    """``value`` as it is stored, ``label`` as people call it."""

    value: str
    label: str


def connection_scope(tenant: Tenant, named: str) -> Scope:
    """Return a connection by its name or id. Raises ScopeUnknown."""
    rows, key = connectors.of(tenant.pk), _uuid(named)
    found = rows.filter(name=named).first() or (rows.filter(pk=key).first() if key else None)
    if found is None:
        raise _unknown(f"there is no connection {named!r}", "a connection's name or id")
    return Scope(str(found.pk), found.name)


def playbook_scope(tenant: Tenant, named: str) -> Scope:
    """Return a playbook by its slug, its CACAO id or its row's id. Raises ScopeUnknown."""
    rows, key = playbooks.list_playbooks(tenant), _uuid(named)
    found = rows.filter(slug=named).first() if named else None
    found = found or playbooks.find_by_cacao_id(tenant, named) or (rows.filter(pk=key).first() if key else None)
    if found is None:
        raise _unknown(f"there is no playbook {named!r}", "a playbook's id")
    return Scope(str(found.pk), found.slug or found.cacao_id or found.name)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _unknown(what: str, right: str) -> ScopeUnknown:
    message = f"{what}: give {right}"
    return ScopeUnknown(f"value: {message}.", fields=[FieldError("value", message)])
