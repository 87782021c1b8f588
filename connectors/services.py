"""Writes of connections. Secrets come in here once and are only ever stored sealed."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from connectors import selectors
from connectors.addresses import DEFAULT_PORTS, Address, AddressInvalid, read_url
from connectors.connection_settings import check_settings
from connectors.models import Connection
from connectors.opening import context_of
from connectors.registry import CONNECTION_KINDS
from core.errors import Conflict, FieldError, Invalid, NotFound
from core.keyring import keyring
from core.outbound import is_public
from core.secrets import is_masked, seal

if TYPE_CHECKING:
    from accounts.models import Tenant
    from connectors.oauth import Tokens

#: a shorter secret cannot be found in an output, so the whole output is masked
SHORTEST_SECRET = 8
SECRET_FIELDS = frozenset({"token", "refresh_token", "password", "private_key", "passphrase"})


class ConnectionInvalid(Invalid):
    code = "connection_invalid"


class KindChanged(Conflict):
    code = "connection_kind_changed"


class NameTaken(Conflict):
    code = "connection_name_taken"


class ConnectionEnabled(Conflict):
    code = "connection_enabled"


class SecretFieldUnknown(NotFound):
    code = "secret_field_unknown"


class SecretNeeded(Conflict):
    """The address moves to another host, and its secret was not given again."""

    code = "secret_needed"


@dataclass(frozen=True)
class Wanted:
    """A connection as it is to be. What is None stays as it is.

    ``secrets`` (field to value) replace all stored ones. ``hosts``: further hosts they may go to.
    """

    kind: str
    name: str
    url: str
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    settings: Mapping[str, Any] | None = None
    keyed: bool | None = None
    allow_networks: Sequence[str] | None = None
    hosts: Sequence[str] | None = None
    enabled: bool | None = None


def save_connection(*, tenant: Tenant, now: datetime, **wanted: Any) -> Connection:
    """Make the tenant's connection of that name, or update it. The other arguments are those of ``Wanted``.

    The address of the connection's own URL joins ``allow_networks`` when it is not public, so that it may be called
    where the deployment lists it too. Raises ConnectionInvalid, SettingsInvalid, KindChanged, SecretNeeded.
    """
    return _save(tenant, Wanted(**wanted), now)


def check_connection(*, tenant: Tenant, **wanted: Any) -> None:
    """Raise what ``save_connection`` would raise, and store nothing."""
    asked = Wanted(**wanted)
    _check(asked, selectors.of(tenant.id).filter(name=asked.name).first())


@transaction.atomic
def _save(tenant: Tenant, wanted: Wanted, now: datetime, *, is_new: bool = False) -> Connection:
    stored = selectors.of(tenant.id).select_for_update().filter(name=wanted.name).first()
    address = _check(wanted, None if is_new else stored)
    if is_new and stored is not None:
        raise NameTaken(f"There is a connection {wanted.name!r} already.")
    connection = stored or Connection(tenant_id=tenant.id, name=wanted.name, kind=wanted.kind, created_at=now)
    if wanted.settings is not None:
        connection.settings = dict(wanted.settings)
    if wanted.secrets is not None:
        connection.sealed_secrets = _sealed(connection, wanted.secrets)
        connection.last_error = ""
        connection.expires_at = None  # of a token that is given by hand nobody knows when it ends
        connection.status = "active"
    connection.url = wanted.url
    connection.is_keyed = connection.is_keyed if wanted.keyed is None else wanted.keyed
    connection.is_enabled = connection.is_enabled if wanted.enabled is None else wanted.enabled
    connection.hosts = connection.hosts if wanted.hosts is None else _hosts(wanted.hosts)
    networks = connection.allow_networks if wanted.allow_networks is None else _networks(wanted.allow_networks)
    connection.allow_networks = _united(networks, own_networks(address))
    connection.updated_at = now
    connection.save()
    return connection


def create_connection(*, tenant: Tenant, now: datetime, **wanted: Any) -> Connection:
    """As ``save_connection``, for a name that is free. Raises NameTaken too."""
    asked = Wanted(**wanted)
    try:
        return _save(tenant, asked, now, is_new=True)
    except IntegrityError:
        raise NameTaken(f"There is a connection {asked.name!r} already.") from None


@transaction.atomic
def update_connection(*, connection: Connection, now: datetime, **changes: Any) -> Connection:
    """Change what is given of a stored connection; name and kind stay. Raises what ``save_connection`` raises."""
    locked = _locked(connection)
    given = {"url": locked.url, **changes}
    return _save(locked.tenant, Wanted(kind=locked.kind, name=locked.name, **given), now)


def set_secret(*, connection: Connection, field: str, value: str, now: datetime) -> Connection:
    """Set or replace one secret; the others stay. Raises SecretFieldUnknown, ConnectionInvalid."""
    if field not in SECRET_FIELDS:
        raise SecretFieldUnknown(f"There is no secret {field[:64]!r}: one of {', '.join(sorted(SECRET_FIELDS))}.")
    if _secret_faults({field: value}):
        fault = FieldError("value", "A secret is text, and not the stars shown in its place.")
        raise ConnectionInvalid(f"value: {fault.message}", fields=[fault])
    return _with_secrets(connection, lambda sealed: {**sealed, **_sealed(connection, {field: value})}, now)


def remove_secret(*, connection: Connection, field: str, now: datetime) -> Connection:
    """Remove one secret; one that is not set is removed already."""
    return _with_secrets(
        connection, lambda sealed: {name: record for name, record in sealed.items() if name != field}, now
    )


@transaction.atomic
def _with_secrets(
    connection: Connection, change: Callable[[dict[str, str]], dict[str, str]], now: datetime
) -> Connection:
    locked = _locked(connection)
    locked.sealed_secrets, locked.last_error, locked.updated_at = change(locked.sealed_secrets), "", now
    locked.save(update_fields=["sealed_secrets", "last_error", "updated_at"])
    return locked


@transaction.atomic
def store_tokens(*, connection: Connection, tokens: Tokens, now: datetime) -> Connection:
    """Keep the tokens that a vendor gave; a refresh token stays where no new one came."""
    locked = _locked(connection)
    locked.sealed_secrets = {**locked.sealed_secrets, **_sealed(locked, tokens.secrets())}
    locked.status, locked.revoked_at, locked.last_error, locked.updated_at = "active", None, "", now
    locked.expires_at = None if tokens.lifetime is None else now + tokens.lifetime
    locked.save(update_fields=["sealed_secrets", "status", "revoked_at", "last_error", "updated_at", "expires_at"])
    return locked


@transaction.atomic
def delete_connection(*, connection: Connection) -> None:
    """Delete a connection that is disabled, and its secrets with it. Raises ConnectionEnabled."""
    locked = _locked(connection)
    if locked.is_enabled:
        raise ConnectionEnabled("Disable the connection first: what needs it shows then, and that can be taken back.")
    locked.delete()


def _locked(connection: Connection) -> Connection:
    found = selectors.of(connection.tenant_id).select_for_update().filter(pk=connection.pk).first()
    if found is None:
        raise selectors.ConnectionNotFound("There is no such connection.")
    return found


def notes_on(connection: Connection) -> list[str]:
    """Return what will not work yet, or less well than it might, in words for people."""
    notes = []
    allowed = [ipaddress.ip_network(text) for text in settings.SALLYPORT_ALLOW_NETWORKS]
    for text in own_networks(read_url(connection.url, kind=connection.kind)):
        network = ipaddress.ip_network(text)
        if not any(network.network_address in each for each in allowed):
            notes.append(f"{network.network_address} is not public. Calls need it in ALLOW_NETWORKS of every process.")
    if connection.kind == "ssh" and not connection.settings.get("host_key"):
        notes.append("no host key is pinned, so every call is refused. Give host_key (ssh-keyscan HOST shows it).")
    if connection.kind == "ssh" and not connection.settings.get("user"):
        notes.append("no user is named, so every call is refused. Give user.")
    return notes


def note_last_error(*, connection: Connection, error: str) -> None:
    """Show on the connection why its last call was refused; "" takes the note away."""
    selectors.of(connection.tenant_id).filter(pk=connection.pk).update(last_error=error[:300])


def own_networks(address: Address) -> list[str]:
    """Return the addresses of a connection's own URL that are not public, each as a network of one."""
    if address.scheme == "dbt":
        return []  # a project of this machine, no host
    literal = address.ip
    found = [literal] if literal is not None else _resolved(address)
    return [str(ipaddress.ip_network(each)) for each in found if not is_public(each)]


def _resolved(address: Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What the name means now. A name that cannot be resolved adds nothing; its calls will say so."""
    try:
        answers = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    texts = dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in answers)
    return [ipaddress.ip_address(text) for text in texts]


def _check(wanted: Wanted, stored: Connection | None) -> Address:
    """Return the address to be, or raise. ``stored``: the connection of that name, if there is one."""
    if wanted.kind not in CONNECTION_KINDS:
        raise ConnectionInvalid(f"There is no kind {wanted.kind!r}. Kinds: {', '.join(CONNECTION_KINDS)}.")
    faults = [*_name_faults(wanted.name), *_secret_faults(wanted.secrets or {})]
    address = None
    try:
        address = read_url(wanted.url, kind=wanted.kind)
        faults += _address_faults(wanted, address)
    except AddressInvalid as error:
        faults.append(FieldError("url", error.message))
    if faults or address is None:
        listed = " ".join(f"{fault.path}: {fault.message}" for fault in faults)
        raise ConnectionInvalid(f"The connection cannot be stored. {listed}", fields=faults)
    if wanted.settings is not None:
        check_settings(wanted.kind, wanted.settings)
    _networks(wanted.allow_networks or ())
    if stored is not None and stored.kind != wanted.kind:
        raise KindChanged(f"{stored.name!r} is a connection of kind {stored.kind}. Choose another name, or remove it.")
    if stored is not None and wanted.secrets is None and stored.sealed_secrets and _moves(stored, address):
        raise SecretNeeded(f"{stored.name!r} moves to another host: give its secret again.")
    return address


def _name_faults(name: str) -> list[FieldError]:
    if name and len(name) <= 128 and name == name.strip() and name.isprintable():
        return []
    return [FieldError("name", "1 to 128 characters that can be printed, without spaces at the ends.")]


def _secret_faults(secrets: Mapping[str, str]) -> list[FieldError]:
    faults = []
    for name, value in secrets.items():
        if name not in SECRET_FIELDS:
            faults.append(FieldError(f"secrets.{name[:64]}", f"One of {', '.join(sorted(SECRET_FIELDS))}."))
        elif not isinstance(value, str) or not value or "\0" in value or is_masked(value):
            faults.append(FieldError(f"secrets.{name}", "A secret is text, and not the stars shown in its place."))
    return faults


def _address_faults(wanted: Wanted, address: Address) -> list[FieldError]:
    faults = []
    if len(wanted.url) > 2000 or address.query:
        faults.append(FieldError("url", "At most 2,000 characters, without a query."))
    if wanted.kind == "ssh" and address.path.strip("/"):
        faults.append(FieldError("url", "The address of an ssh connection is ssh://host or ssh://host:port."))
    if wanted.kind == "dbt" and (
        not re.fullmatch(r"/[A-Za-z0-9_-]+", address.path) or address.port != DEFAULT_PORTS["dbt"]
    ):
        faults.append(FieldError("url", "The address of a dbt connection is dbt://tenant/project."))
    return faults


def _sealed(connection: Connection, secrets: Mapping[str, str]) -> dict[str, str]:
    return {
        name: seal(value, context=context_of(connection.tenant_id, connection.id, name), keyring=keyring())
        for name, value in secrets.items()
    }


def _moves(stored: Connection, address: Address) -> bool:
    """Whether a stored secret would go to another host, or unencrypted where it was not."""
    before = read_url(stored.url, kind=stored.kind)
    return before.host != address.host or (before.scheme, address.scheme) == ("https", "http")


def _networks(texts: Iterable[str]) -> list[str]:
    try:
        return [str(ipaddress.ip_network(text.strip(), strict=False)) for text in texts if text.strip()]
    except ValueError:
        raise ConnectionInvalid("allow_networks: each is a network such as 10.0.0.0/8.") from None


def _hosts(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text.strip().lower().rstrip(".") for text in texts if text.strip()))


def _united(*lists: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(entry for entries in lists for entry in entries))
