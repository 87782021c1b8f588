"""The one HTTP client (SEC-01 to SEC-06)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

import httpcore

from core import failpoints
from core.outbound.body import MAX_BODY, BodyReader, TooMuch, Undecodable
from core.outbound.connections import MAX_HEADERS, Connection, ConnectionPool
from core.outbound.errors import BadAnswer, NoAnswer, Refused
from core.outbound.request import OutboundRequest, OutboundResponse
from core.outbound.resolving import Resolver, resolve_and_check, system_resolver
from core.outbound.urls import Destination, read_destination

MAX_REDIRECTS: Final = 3
_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
#: of the connection, not of the message: set here only
_OURS: Final = frozenset(
    "host content-length transfer-encoding connection keep-alive upgrade te trailer proxy-connection "
    "proxy-authorization expect accept-encoding".split()
)


@dataclass
class _Progress:
    """Whether a byte of the request may have gone out."""

    is_sent: bool = False


class Outbound:
    """Sends requests from one event loop. Safe for concurrent use there; connections are kept and reused."""

    def __init__(self, *, resolver: Resolver = system_resolver) -> None:
        self._resolver = resolver
        self._pool = ConnectionPool()

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Send one request and read its answer whole.

        Raises Refused when nothing was sent; BadAnswer when the answer breaks a limit; NoAnswer when it did not come.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(request.time_limit.total_seconds()):
                return await self._followed(request, progress)
        except TimeoutError:
            if progress.is_sent:
                raise NoAnswer("The far side did not answer in time.") from None
            raise Refused("timeout_before_send", "The time limit passed before the request was sent.") from None

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._pool.aclose()

    async def _followed(self, request: OutboundRequest, progress: _Progress) -> OutboundResponse:
        response = await self._exchange(request, progress)
        for _ in range(min(request.redirects, MAX_REDIRECTS)):
            following = _redirected(request, response)
            if following is None:
                break
            request = following
            try:
                response = await self._exchange(request, progress)
            except Refused as error:
                # Nothing of this request was sent, but the one before it was.
                raise NoAnswer(f"The redirect could not be followed: {error.message}") from None
        return response

    async def _exchange(self, request: OutboundRequest, progress: _Progress) -> OutboundResponse:
        destination = read_destination(request.url, allow_http=request.policy.allow_http)
        prepared = _prepared(request, destination)
        addresses = await resolve_and_check(destination.host, destination.port, request.policy, resolver=self._resolver)
        connection, key = await self._pool.take(destination, addresses, request.policy, request.pool)
        try:
            if request.before_send is not None and not request.before_send():
                raise Refused("lease_lost", "The right to send was lost before the request was sent.")
            progress.is_sent = True
            return await _answered(connection, prepared, request.url)
        finally:
            await self._pool.give_back(connection, key)


def shared_outbound() -> Outbound:
    """Return the client of this process and of the running event loop."""
    if _shared.process != os.getpid():
        _shared.process = os.getpid()  # a forked child does not touch the connections of its parent
        _shared.clients = WeakKeyDictionary()
    loop = asyncio.get_running_loop()
    if loop not in _shared.clients:
        _shared.clients[loop] = Outbound()
    return _shared.clients[loop]


class _Shared:
    def __init__(self) -> None:
        self.process = os.getpid()
        self.clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbound] = WeakKeyDictionary()


_shared = _Shared()


def _prepared(request: OutboundRequest, destination: Destination) -> httpcore.Request:
    """Build the request. Raises Refused ``request_invalid`` for what would break its framing."""
    method = request.method.upper()
    if not _METHOD.fullmatch(method) or method in ("CONNECT", "TRACE"):
        raise Refused("request_invalid", "The method cannot be sent.")
    headers = [("Host", destination.authority)]
    headers += [(name, value) for name, value in request.headers if name.lower() not in _OURS]
    names = {name.lower() for name, _ in headers}
    defaults = (("accept", "*/*"), ("user-agent", "sallyport"))
    headers += [(name, value) for name, value in defaults if name not in names]
    headers.append(("accept-encoding", "gzip, deflate"))
    if request.body is not None or method in ("POST", "PUT", "PATCH"):
        headers.append(("content-length", str(len(request.body or b""))))
    return httpcore.Request(
        method,
        httpcore.URL(
            scheme=destination.scheme.encode(),
            host=destination.host.encode(),
            port=destination.port,
            target=destination.target.encode(),
        ),
        headers=[_encoded(name, value) for name, value in headers],
        content=request.body or b"",
    )


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    if not _HEADER_NAME.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise Refused("request_invalid", "A header holds a line break or a character that cannot be sent.")
    try:
        return name.encode("ascii"), value.strip(" \t").encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("request_invalid", "A header is no valid Unicode.") from None


async def _answered(connection: Connection, request: httpcore.Request, url: str) -> OutboundResponse:
    try:
        response = await connection.handle_async_request(request)
    except httpcore.LocalProtocolError:
        # Raised while the head is written to memory: its first byte was not sent.
        raise Refused("request_invalid", "The request cannot be written as HTTP.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
        raise NoAnswer(f"The connection broke before an answer came ({type(error).__name__}).") from None
    failpoints.reach("after_first_byte")
    try:
        return await _read(response, url)
    finally:
        await response.aclose()


async def _read(response: httpcore.Response, url: str) -> OutboundResponse:
    status = response.status
    if sum(len(name) + len(value) + 4 for name, value in response.headers) > MAX_HEADERS or status == 101:
        raise BadAnswer("The headers of the answer are too long, or it changes the protocol.", status=status)
    headers = _joined(response.headers)
    length = headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) > MAX_BODY:
        raise BadAnswer(f"The answer announces {length} octets; {MAX_BODY} are read.", status=status)
    try:
        body = BodyReader(headers.get("content-encoding", ""))
        async for chunk in response.aiter_stream():
            body.feed(chunk)
        return OutboundResponse(status, headers, body.close(), url)
    except (TooMuch, Undecodable) as error:
        raise BadAnswer(f"The body of the answer cannot be read: {error}.", status=status) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise NoAnswer(f"The connection broke in the middle of the answer ({type(error).__name__}).") from None


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def _redirected(request: OutboundRequest, response: OutboundResponse) -> OutboundRequest | None:
    """Return the request that a redirect asks for, or None where it is not followed (SEC-03)."""
    location = response.headers.get("location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    is_safe = request.method.upper() in ("GET", "HEAD")
    if response.status in (301, 302) and not is_safe:
        return None  # clients differ in what becomes of the method
    try:
        there = read_destination(urljoin(request.url, location), allow_http=request.policy.allow_http)
        here = read_destination(request.url, allow_http=request.policy.allow_http)
    except (Refused, ValueError):
        return None
    if there.origin != here.origin:
        return None
    following = replace(request, url=f"{there.scheme}://{there.authority}{there.target}")
    if response.status == 303 and not is_safe:
        headers = tuple((name, value) for name, value in request.headers if not name.lower().startswith("content-"))
        following = replace(following, method="GET", body=None, headers=headers)
    return following
