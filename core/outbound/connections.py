"""Connections to checked addresses, kept for reuse (SEC-01, SEC-06)."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import certifi
import httpcore

from core.outbound.addresses import IPAddress
from core.outbound.errors import Refused
from core.outbound.policy import OutboundPolicy
from core.outbound.urls import Destination

#: of one answer, status line included
MAX_HEADERS: Final = 64 * 1024
_CONNECT_LIMIT: Final = 5.0  # seconds for one of several addresses
_KEEP_ALIVE: Final = 15.0  # seconds
_MOST_KEPT: Final = 128


class Connection(httpcore.AsyncHTTP11Connection):
    """An HTTP/1.1 connection that gives up on headers which are too long."""

    MAX_INCOMPLETE_EVENT_SIZE = MAX_HEADERS


@dataclass(frozen=True)
class _Key:
    """Two requests share a connection only if all of this is equal: name, checked address, and how TLS was verified."""

    origin: tuple[str, str, int]
    address: IPAddress
    ca: str | None
    insecure_tls: bool
    pool: str


class ConnectionPool:
    """Idle connections of one event loop, the longest unused ones dropped first."""

    def __init__(self) -> None:
        self._idle: OrderedDict[Connection, _Key] = OrderedDict()
        self._backend = httpcore.AnyIOBackend()

    async def take(
        self, destination: Destination, addresses: Sequence[IPAddress], policy: OutboundPolicy, pool: str
    ) -> tuple[Connection, _Key]:
        """Return a connection to one of the checked addresses: an idle one, or the first that can be opened.

        Raises Refused: ``connect_failed``, ``tls_failed``.
        """
        keys = [_Key(destination.origin, address, policy.ca, policy.insecure_tls, pool) for address in addresses]
        for connection, key in reversed(self._idle.items()):
            if key in keys and connection.is_available() and not connection.has_expired():
                del self._idle[connection]
                return connection, key
        failure = Refused("connect_failed", f"No address of {destination.host} can be reached.")
        for key in keys:
            try:
                return await self._open(destination, key), key
            except Refused as error:
                failure = error
        raise failure

    async def give_back(self, connection: Connection, key: _Key) -> None:
        """Keep the connection for the next request if it can carry one; close it if not."""
        if not connection.is_idle():
            await connection.aclose()
            return
        self._idle[connection] = key
        expired = [kept for kept in self._idle if kept.has_expired()]
        surplus = list(self._idle)[: max(0, len(self._idle) - _MOST_KEPT)]
        for kept in dict.fromkeys([*expired, *surplus]):
            del self._idle[kept]
            await kept.aclose()

    async def aclose(self) -> None:
        while self._idle:
            connection, _ = self._idle.popitem()
            await connection.aclose()

    async def _open(self, destination: Destination, key: _Key) -> Connection:
        try:
            stream = await self._backend.connect_tcp(str(key.address), destination.port, timeout=_CONNECT_LIMIT)
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            message = f"{destination.host} does not accept connections on port {destination.port}."
            raise Refused("connect_failed", message) from None
        if destination.scheme == "https":
            stream = await self._secured(stream, destination, key)
        origin = httpcore.Origin(destination.scheme.encode(), destination.host.encode(), destination.port)
        return Connection(origin=origin, stream=stream, keepalive_expiry=_KEEP_ALIVE)

    async def _secured(
        self, stream: httpcore.AsyncNetworkStream, destination: Destination, key: _Key
    ) -> httpcore.AsyncNetworkStream:
        try:
            context = _tls_context(key.ca, key.insecure_tls)
            name = destination.host.removesuffix(".")
            return await stream.start_tls(context, server_hostname=name, timeout=2 * _CONNECT_LIMIT)
        except asyncio.CancelledError:
            await stream.aclose()
            raise
        except (httpcore.ConnectError, httpcore.ConnectTimeout, ssl.SSLError, ValueError) as error:
            await stream.aclose()
            raise Refused("tls_failed", f"TLS with {destination.host} failed: {_reason(error)}.") from None


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not valid ({cause.verify_message.rstrip('.')})"
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "handshake failed").lower().replace("_", " ")
    return "handshake failed"


@lru_cache(maxsize=64)
def _tls_context(ca: str | None, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    if not ca:
        context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
