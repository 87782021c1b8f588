"""Clients of both kinds of streams, for one asyncio loop that has hundreds of them. They go on until cancelled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from config.processes import LOOPBACK

Follower = Coroutine[Any, Any, None]
#: so many connect at once
CONNECTING = 20
OPENING = 120.0  # seconds


@dataclass
class Received:
    """``frames``: what names an event, and this machine's clock when it was here."""

    frames: list[tuple[Any, float]] = field(default_factory=list)
    is_connected: asyncio.Event = field(default_factory=asyncio.Event)


class Refused(Exception):
    """The server did not open the stream, or ended it."""


async def follow_events(port: int, *, key: str, address: str, received: Received) -> None:
    """Follow all executions of a tenant over a websocket; an event is named by its execution and ``seq``."""
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": address}
    connecting = connect(
        f"ws://{LOOPBACK}:{port}/ws/stream", additional_headers=headers, open_timeout=OPENING, ping_interval=None,
        compression=None, proxy=None,
    )  # fmt: skip
    async with _turnstile():
        socket = await connecting
    try:
        received.is_connected.set()
        while True:
            text = await socket.recv()
            at = time.time()
            frame = json.loads(text)
            received.frames.append(((frame["execution_id"], frame["seq"]), at))
    except ConnectionClosed as closed:
        raise Refused(f"the server closed a websocket: {closed}") from None
    finally:
        await socket.close()


async def follow_incidents(port: int, *, key: str, address: str, received: Received) -> None:
    """Follow the incidents of a tenant as server-sent events; an event is named by its id."""
    request = (
        f"GET /api/sse/events HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {key}\r\nX-Forwarded-For: {address}\r\n\r\n"
    )
    async with _turnstile():
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(request.encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), OPENING)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Refused(head.decode(errors="replace").splitlines()[0])
        first = await asyncio.wait_for(_chunk(reader), OPENING)  # "connected"
    try:
        received.is_connected.set()
        rest = first
        while True:
            *frames, rest = rest.split(b"\n\n")
            at = time.time()
            for frame in frames:
                _, has_number, number = frame.rpartition(b"\nid: ")
                if has_number:
                    received.frames.append((int(number), at))
            rest += await _chunk(reader)
    finally:
        writer.close()


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    """The next chunk of the body (RFC 9112, 7.1). Raises Refused at the end."""
    size = int(await reader.readuntil(b"\r\n"), 16)
    if size == 0:
        raise Refused("the server ended a stream")
    return (await reader.readexactly(size + 2))[:-2]


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turnstile() -> asyncio.Semaphore:
    """One a loop, so that opening a thousand streams is not what is measured."""
    return _turnstiles.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING))
