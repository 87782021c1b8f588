"""Which connection and which address a call uses (ruling 23; CACAO.md D20, D33, D34; SEC-04). Opens no secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings

from connectors import keys, standing
from connectors.addresses import Address, AddressInvalid, addresses_of, read_url
from connectors.base import Endpoint
from connectors.document_secrets import DocumentLogin, login_of
from connectors.models import Connection
from connectors.planning import Call, Credential, Destination
from core.clock import database_now
from core.errors import Invalid
from core.outbound import is_public


class NotRouted(Invalid):
    """Nothing to send it to or with. ``code`` is a word of CACAO.md 12.3, or ``destination_refused``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Route:
    """Where a call goes. ``connection`` None: an address of the document itself."""

    endpoints: tuple[Endpoint, ...]
    credential: Credential = field(default_factory=Credential)
    connection: Connection | None = None
    destination: str = ""


def route(call: Call, *, kind: str, connections: Sequence[Connection], is_toolkit: bool = False) -> Route:
    """Choose connection and endpoints for a call of a connector of ``kind``.

    ``connections`` are the tenant's, of any kind. ``is_toolkit``: of several the last used one. Raises NotRouted.
    """
    if call.operation is not None and is_toolkit:
        return _to_connection(_of_toolkit(call, kind=kind, connections=connections))
    if call.operation is not None:
        return _to_connection(_chosen(call.connection, kind=kind, connections=connections))
    destination = call.target or call.agent
    if destination is None:
        raise NotRouted("no_target", "The command needs an address, and the step has neither target nor agent.")
    try:
        return _routed(call, destination, kind=kind, connections=connections)
    except AddressInvalid as error:
        raise NotRouted(error.code, f"Target {destination.name!r}: {error.message}") from None


def endpoint_of(connection: Connection, *, url: str | None = None) -> Endpoint:
    """Return a connection as an endpoint without secrets; ``url``: another address of its host list."""
    return Endpoint(
        name=connection.name,
        kind=connection.kind,
        url=url or connection.url,
        settings=connection.settings,
        keyed=connection.is_keyed,
        allow_networks=tuple(connection.allow_networks),
        hosts=_hosts_of(connection),
        tenant=str(connection.tenant_id),
        pool=str(connection.id),
    )


def credential_of(connection: Connection) -> Credential:
    return Credential(connection.tenant_id, connection.id, connection.sealed_secrets)


def _chosen(name: str | None, *, kind: str, connections: Sequence[Connection]) -> Connection:
    """The connection an operation uses: the named one, else the only one of its kind."""
    if name is not None:
        found = next((connection for connection in connections if connection.name == name), None)
        if found is None:
            raise NotRouted("no_connection", f"There is no connection {name!r}.")
        return _usable(found, kind)
    enabled = [
        connection
        for connection in connections
        if connection.kind == kind and connection.is_enabled and connection.status == "active"
    ]
    if len(enabled) == 1:
        return enabled[0]
    if enabled:
        names = ", ".join(sorted(connection.name for connection in enabled))
        raise NotRouted("no_connection", f"Several connections are of kind {kind}: name one of {names}.")
    raise NotRouted("no_connection", f"There is no connection of kind {kind} that is enabled.")


def _of_toolkit(call: Call, *, kind: str, connections: Sequence[Connection]) -> Connection:
    """The connection of a toolkit's action: the named one, else the one that was used last of those that are good."""
    if any(connection.refused_key == call.key and connection.kind == kind for connection in connections):
        raise NotRouted("unauthorized", f"{kind} refused the credential of this call.")
    if call.connection is not None:
        return _chosen(call.connection, kind=kind, connections=connections)
    of_kind = [connection for connection in connections if connection.kind == kind]
    found = standing.last_used(of_kind, now=database_now()) if of_kind else None
    if found is None:
        raise NotRouted("no_connection", f"There is no active connection of {kind}.")
    return found


def _routed(call: Call, destination: Destination, *, kind: str, connections: Sequence[Connection]) -> Route:
    addresses = addresses_of(destination.properties, kind=kind)
    named = _named(destination, kind, connections)
    if named is None and not addresses and call.target is not None and call.agent is not None:
        named = _named(call.agent, kind, connections)
    if named is not None:
        return _at_connection(named, call, destination, addresses, connections)
    if not addresses:
        code = "no_target" if call.target is None else "no_connection"
        raise NotRouted(code, f"{destination.name!r} has no address, and no connection of kind {kind} has its name.")
    matching = _matching(addresses, kind, connections)
    if matching is not None:
        return _at_connection(matching, call, destination, addresses, connections)
    return _at_literal(call, destination, addresses, kind=kind, connections=connections)


def _named(destination: Destination, kind: str, connections: Sequence[Connection]) -> Connection | None:
    found = next((connection for connection in connections if connection.name == destination.name), None)
    return None if found is None else _usable(found, kind)


def _usable(connection: Connection, kind: str) -> Connection:
    if connection.kind != kind:
        raise NotRouted(
            "no_connection", f"The connection {connection.name!r} is of kind {connection.kind}, not {kind}."
        )
    if not connection.is_enabled:
        raise NotRouted("no_connection", f"The connection {connection.name!r} is disabled.")
    if connection.status != "active":
        raise NotRouted("no_connection", f"The connection {connection.name!r} is {connection.status}.")
    return connection


def _matching(addresses: Sequence[Address], kind: str, connections: Sequence[Connection]) -> Connection | None:
    """The connection whose address is the same place; of several the one whose base path fits best."""
    wanted = addresses[0]
    found = [
        (len(base.path.rstrip("/")), connection)
        for connection in connections
        if connection.kind == kind and (base := _address_of(connection)) is not None
        if base.place == wanted.place and _is_below(wanted.path, base.path)
    ]
    if not found:
        return None
    longest = max(length for length, _ in found)
    best = [connection for length, connection in found if length == longest]
    if len(best) > 1:
        names = ", ".join(sorted(connection.name for connection in best))
        raise NotRouted("no_connection", f"Several connections have this address: name the target as one of {names}.")
    return _usable(best[0], kind)


def _is_below(path: str, base: str) -> bool:
    """Whether a connection with base path ``base`` serves ``path``; a target without a path takes any base."""
    path, base = path.rstrip("/"), base.rstrip("/")
    return not path or not base or path == base or path.startswith(f"{base}/")


def _at_connection(
    connection: Connection,
    call: Call,
    destination: Destination,
    addresses: tuple[Address, ...],
    connections: Sequence[Connection],
) -> Route:
    """At the connection's own address, or at the target's where that is the same place or on the host list."""
    base = read_url(connection.url, kind=connection.kind)
    places = [_at(connection, base, address) for address in addresses] or [base]
    endpoints = tuple(endpoint_of(connection, url=place.url) for place in places)
    login = login_of(call)
    if connection.sealed_secrets or not login:
        return Route(endpoints, credential_of(connection), connection, destination.name)
    if destination.address_is_outside:
        raise NotRouted("destination_refused", "A secret of the document goes only to addresses written in it.")
    endpoints = tuple(replace(end, settings={**end.settings, **login.settings}) for end in endpoints)
    key = _managed_key(connection, login)
    credential = key or _document_credential(login, places, connections)
    return Route(endpoints, credential, connection, destination.name)


def _managed_key(connection: Connection, login: DocumentLogin) -> Credential | None:
    """The stored SSH key that the document names. It is proven to the host and never sent, so it has no host list."""
    key = keys.find_key(connection.tenant_id, login.stored_as) if login.stored_as and connection.kind == "ssh" else None
    return Credential(key.tenant_id, key.pk, key.sealed_secrets, table=keys.TABLE) if key is not None else None


def _at(connection: Connection, base: Address, address: Address) -> Address:
    """Return the place to call. A host that is not the connection's must be on its list (SEC-04)."""
    path = address.path if address.path.strip("/") else base.path
    same_way = address.is_bare or (address.scheme, address.port) == (base.scheme, base.port)
    if same_way and (address.host == base.host or address.is_among(tuple(connection.hosts))):
        return replace(base, host=address.host, path=path, query=address.query)
    raise NotRouted(
        "destination_refused",
        f"The address {address.host!r} is not among those of the connection {connection.name!r}.",
    )


def _at_literal(
    call: Call,
    destination: Destination,
    addresses: tuple[Address, ...],
    *,
    kind: str,
    connections: Sequence[Connection],
) -> Route:
    """At an address of the document: public ones only, and the demonstration target of ``up``."""
    if kind == "ssh":
        raise NotRouted("no_connection", f"{destination.name!r}: ssh needs a connection, which pins the host key.")
    if destination.address_is_outside:
        raise NotRouted("no_connection", f"The address of {destination.name!r} comes from a variable: {_NEEDED}")
    demo = addresses[0].scheme == "http" and _is_demo(addresses[0])
    if not demo and not all(address.ip is None or is_public(address.ip) for address in addresses):
        raise NotRouted("no_connection", f"The address of {destination.name!r} is not public: {_NEEDED}")
    login = login_of(call)
    endpoints = tuple(
        Endpoint(
            name=destination.name,
            kind=kind,
            url=address.url,
            settings=login.settings,
            allow_networks=(f"{address.host}/32",) if demo else (),
            hosts=(address.host,),
        )
        for address in addresses
    )
    return Route(endpoints, _document_credential(login, addresses, connections), None, destination.name)


_NEEDED = "make a connection with that name or address."


def _document_credential(
    login: DocumentLogin, addresses: Sequence[Address], connections: Sequence[Connection]
) -> Credential:
    """The document's own secrets, or the stored one it names (``kms_key_identifier``), if its host list allows."""
    if login.stored_as is None:
        return Credential(literal=login.secrets)
    holder = next((connection for connection in connections if connection.name == login.stored_as), None)
    if holder is None or not holder.is_enabled:
        raise NotRouted("no_connection", f"There is no connection {login.stored_as!r} that holds the secret.")
    if not all(address.is_among(_hosts_of(holder)) for address in addresses):
        raise NotRouted("destination_refused", f"The secret of {holder.name!r} may not go to this address.")
    sealed = holder.sealed_secrets
    name = login.field if login.field in sealed else next(iter(sealed), None)
    if name is None or (name != login.field and len(sealed) > 1):
        raise NotRouted("no_connection", f"The connection {holder.name!r} holds no secret that fits.")
    return Credential(holder.tenant_id, holder.id, {name: sealed[name]}, as_field=login.field)


def _to_connection(connection: Connection) -> Route:
    return Route((endpoint_of(connection),), credential_of(connection), connection, connection.name)


def _hosts_of(connection: Connection) -> tuple[str, ...]:
    own = _address_of(connection)
    return (*((own.host,) if own else ()), *connection.hosts)


def _address_of(connection: Connection) -> Address | None:
    try:
        return read_url(connection.url, kind=connection.kind)
    except AddressInvalid:
        return None


def _is_demo(address: Address) -> bool:
    return f"{address.host}:{address.port}" == getattr(settings, "SALLYPORT_DEMO_ENDPOINT", None)
