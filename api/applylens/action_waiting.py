"""Holds a call until the action it started has ended: woken by announcements, the rows say what is the case."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Final
from uuid import UUID

from django.conf import settings

from api.stream.announcements import Announcements
from api.stream.threads import in_thread
from connectors import loop
from core.errors import Unavailable
from executions.events import execution_group
from incidents.actions.ending import settle

#: A lost announcement only delays an answer.
LOOK_EVERY: Final = timedelta(seconds=3)
#: What the engine may take, beyond the action's own time, to see that the time is over.
PATIENCE: Final = timedelta(seconds=30)
RETRY_AFTER: Final = 10


class TooManyWaiting(Unavailable):
    code = "too_many_waiting"


class Places:
    """How many calls of this process may wait: each holds a thread that other requests would need."""

    def __init__(self) -> None:
        self._free: BoundedSemaphore | None = None
        self._size = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises TooManyWaiting, at once."""
        free = self._semaphore()
        if not free.acquire(blocking=False):
            raise TooManyWaiting("Too many actions are waited for here. Try again soon.", retry_after=RETRY_AFTER)
        try:
            yield
        finally:
            free.release()

    def _semaphore(self) -> BoundedSemaphore:
        if self._free is None or self._size != settings.APPLYLENS_WAITING_CALLS:
            self._size = settings.APPLYLENS_WAITING_CALLS
            self._free = BoundedSemaphore(self._size)
        return self._free


places: Final = Places()


def wait_for_end(run_id: int, execution_id: UUID) -> None:
    """Return once the action's row is final, or when its time and the engine's patience are over.

    The row does not need this call: it comes to its end also when nobody waits.
    """
    with suppress(loop.OutOfTime):
        loop.run(_ended(run_id, execution_id), time_limit=settings.APPLYLENS_ACTION_LIMIT + PATIENCE)


async def _ended(run_id: int, execution_id: UUID) -> None:
    async with Announcements(execution_group(execution_id)) as heard:
        while True:
            heard.changed.clear()
            if await in_thread(lambda: settle(run_id)):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                    await heard.changed.wait()
