"""Small servers on loopback that do what a hostile or broken far side does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ssl import SSLContext

from core.outbound import OutboundPolicy

LOOPBACK = ("127.0.0.0/8", "::1/128")
#: what a connection to our own machine needs: both lists, and plain HTTP
OPEN = OutboundPolicy(allow_networks=LOOPBACK, deployment_networks=LOOPBACK, allow_http=True)

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """A server and what came in: connections, and requests as octets."""

    host: str
    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextlib.asynccontextmanager
async def listening(
    behaviour: Behaviour | None = None, *, host: str = "127.0.0.1", port: int = 0, ssl: SSLContext | None = None
) -> AsyncIterator[Listener]:
    """Serve ``behaviour`` for each request; None: a canary, which only counts who comes."""
    listener = Listener(host, port)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while behaviour is not None:
                request = await read_request(reader)
                if request is None:
                    break
                listener.requests.append(request)
                await behaviour(reader, writer)
        writer.close()

    def track(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(track, host, port, ssl=ssl)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes | None:
    """Return head and body of the next request, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


def answering(answer: bytes, *, then_close: bool = False) -> Behaviour:
    """Give this answer, octet for octet."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if then_close:
            writer.close()

    return behaviour


def ok(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def waiting_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await reader.read()


def sending_for_ever(head: bytes, piece: bytes, *, pause: float = 0.0) -> Behaviour:
    """Begin an answer and go on with it until the other side is gone."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behaviour
