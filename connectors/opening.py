"""Secrets opened for one attempt, after the host list was asked (SEC-04)."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from connectors.addresses import read_url
from connectors.base import Endpoint
from connectors.planning import FIN, Credential
from core.errors import Invalid
from core.keyring import keyring
from core.secrets import Secret, SecretContext, open_sealed


class HostRefused(Invalid):
    """The secret may not go to this host. Nothing was opened."""

    code = "destination_refused"


def opened(credential: Credential, endpoint: Endpoint) -> Mapping[str, Secret]:
    """Return the secrets for one attempt at ``endpoint``, by field.

    Raises HostRefused, before anything is opened; SecretUnreadable; MasterKeyMissing.
    """
    if not credential:
        return {}
    if endpoint.kind == FIN:
        return dict(credential.literal)  # sealed into the job; where it may go was decided with the plan
    if not read_url(endpoint.url, kind=endpoint.kind).is_among(endpoint.hosts):
        raise HostRefused(f"The secret of {endpoint.name!r} may not go to this host.")
    secrets = dict(credential.literal)
    for name, record in credential.sealed.items():
        context = _context(credential, name)
        secrets[credential.as_field or name] = open_sealed(record, context=context, keyring=keyring())
    return secrets


def all_of(credential: Credential) -> list[Secret]:
    """Return the secrets of a credential, for finding them in what is to be shown; they go nowhere.

    Raises SecretUnreadable, MasterKeyMissing.
    """
    found = list(credential.literal.values())
    for name, record in credential.sealed.items():
        context = _context(credential, name)
        found.append(open_sealed(record, context=context, keyring=keyring()))
    return found


def _context(credential: Credential, name: str) -> SecretContext:
    return SecretContext(str(credential.tenant_id), credential.table, str(credential.connection_id), name)


def context_of(tenant_id: UUID | None, connection_id: UUID | None, name: str) -> SecretContext:
    """Return the one place where the secret ``name`` of a connection opens (SEC-17)."""
    return SecretContext(str(tenant_id), "connectors_connection", str(connection_id), name)
