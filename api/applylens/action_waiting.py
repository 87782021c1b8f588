"""Holds a call until the action it started has ended: woken by announcements, the rows say what is the case."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Final
from uuid import UUID

from django.conf import settings

from api.stream.announcements import Announcements
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
        self._free: threading.BoundedSemaphore | None = None
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

    def _semaphore(self) -> threading.BoundedSemaphore:
        if self._free is None or self._size != settings.APPLYLENS_WAITING_CALLS:
            self._size = settings.APPLYLENS_WAITING_CALLS
            self._free = threading.BoundedSemaphore(self._size)
        return self._free


places: Final = Places()


def wait_for_end(run_id: int, execution_id: UUID) -> None:
    """Return once the action's row is final, or when its time and the engine's patience are over.

    The row does not need this call: it comes to its end also when nobody waits.
    """
    until = time.monotonic() + (settings.APPLYLENS_ACTION_LIMIT + PATIENCE).total_seconds()
    with _announcements(execution_group(execution_id)) as changed:
        while True:
            changed.clear()
            left = until - time.monotonic()
            if settle(run_id) or left <= 0:
                return
            changed.wait(min(left, LOOK_EVERY.total_seconds()))


@contextmanager
def _announcements(group: str) -> Iterator[threading.Event]:
    """Yield an event that is set by each announcement to the group, and once when they begin to be heard."""
    changed = threading.Event()
    hearing = asyncio.run_coroutine_threadsafe(_hear(group, changed), _loop())
    try:
        yield changed
    finally:
        hearing.cancel()


async def _hear(group: str, changed: threading.Event) -> None:
    async with Announcements(group) as announcements:
        while True:
            await announcements.changed.wait()
            announcements.changed.clear()
            changed.set()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop on which this process hears for the calls that wait: their threads have none."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="waiting-calls", daemon=True).start()
    return loop
