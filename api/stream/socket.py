"""One websocket, as the ASGI server hands it over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings

from api.stream.closing import Closed, Code, Gone

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: of one frame of the client, in octets
LONGEST_FRAME: Final = 64 * 1024
#: How long a close waits behind frames that the client has not taken yet.
FAREWELL: Final = timedelta(seconds=10)


class Socket:
    """Sends one frame at a time, and nothing after the close."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._turn = asyncio.Lock()
        self._is_accepted = False

    async def opened(self) -> None:
        """Wait for the client's handshake."""
        await self._receive()

    async def accept(self) -> None:
        self._is_accepted = True
        await self._put({"type": "websocket.accept"})

    async def send(self, text: str) -> None:
        """Raises Closed (TOO_SLOW) when the client does not take it in time, Gone when it has left."""
        await self._put({"type": "websocket.send", "text": text})

    async def receive(self) -> str | None:
        """Return the text of the next frame, None for a binary one. Raises Closed (TOO_LARGE), Gone."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = message.get("text")
        length = len(message.get("bytes") or b"") if text is None else len(text.encode())
        if length > LONGEST_FRAME:
            raise Closed(Code.TOO_LARGE, f"A frame may have {LONGEST_FRAME} octets at most.")
        return text

    async def close(self, closed: Closed) -> None:
        """Say why, and end. The handshake is accepted first: a refused one could not carry the code."""
        try:
            if not self._is_accepted:
                await self.accept()
            message = {"type": "websocket.close", "code": int(closed.code), "reason": closed.reason}
            await self._put(message, patience=FAREWELL)
        except (Closed, Gone):
            pass  # it does not read any more

    async def _put(self, message: MutableMapping[str, Any], *, patience: timedelta | None = None) -> None:
        span = patience or settings.SALLYPORT_STREAM_PATIENCE
        try:
            async with self._turn, asyncio.timeout(span.total_seconds()):
                await self._send(message)
        except TimeoutError:
            raise Closed(Code.TOO_SLOW, "Too slow: events were not taken. Resume from the last seq.") from None
        except OSError:
            raise Gone from None
