"""Hears from the channel layer that there is something new. What is new stands in the rows."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final, Self

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

#: How long the opening of a stream waits for the channel layer; without it the stream looks by itself.
PATIENCE_SECONDS: Final = 2
#: Between two tries to subscribe; the pause doubles from the first to the second figure.
RETRY_SECONDS: Final = (5, 60)


class Announcements:
    """``changed`` is set by each announcement to the group, and once when they begin to be heard."""

    def __init__(self, group: str) -> None:
        self.changed = asyncio.Event()
        self._group = group
        self._is_heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen())
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._is_heard.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=PATIENCE_SECONDS)

    async def _listen(self) -> None:
        pause, longest = RETRY_SECONDS
        while True:
            try:
                await self._receive()
            except Exception as error:
                log.warning("Announcements are not heard, the channel layer does not answer: %s", type(error).__name__)
                self._is_heard.set()  # nobody needs to wait for it
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        try:
            await layer.group_add(self._group, channel)
            self._is_heard.set()
            while True:
                self.changed.set()
                await layer.receive(channel)
        finally:
            with suppress(Exception):
                await layer.group_discard(self._group, channel)
