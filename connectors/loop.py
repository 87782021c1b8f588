"""The one asyncio loop thread of a worker process, and how a worker thread waits for a call on it (ruling 12)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: how often a waiting thread looks at its stop signal; the end of the call itself wakes it at once
_LOOK = 0.1
#: how long an aborted call may take to close its connection
_CLOSING = 0.8


class Stopped(Exception):
    """The call was aborted: the stop signal was set, or the lease was lost."""


class OutOfTime(Exception):
    """The call was aborted at its time limit."""


class _LoopThread:
    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self.loop.run_forever, name="connector-calls", daemon=True)
        thread.start()


_lock = threading.Lock()
_current: _LoopThread | None = None


def run(coroutine: Coroutine[Any, Any, T], *, time_limit: timedelta, stop: threading.Event | None = None) -> T:
    """Run ``coroutine`` on the loop thread and wait for its result.

    Raises Stopped when ``stop`` is set, OutOfTime when ``time_limit`` passes (the call is cancelled and given a
    moment to close), or what the coroutine raises.
    """
    running = _Running(coroutine, _loop())
    ends_at = time.monotonic() + time_limit.total_seconds()
    while True:
        left = ends_at - time.monotonic()
        if stop is not None and stop.is_set():
            return running.abort(Stopped())
        if left <= 0:
            return running.abort(OutOfTime())
        if running.wait(left if stop is None else min(left, _LOOK)):
            return running.future.result()


class _Running(Generic[T]):
    """One coroutine on the loop thread, with its task, so that an abort can wait for the task's own cleaning up."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._is_aborted = False
        self.future = asyncio.run_coroutine_threadsafe(self._run(coroutine), loop)

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        if self._is_aborted:
            coroutine.close()
            raise asyncio.CancelledError
        return await coroutine

    def wait(self, seconds: float) -> bool:
        return bool(concurrent.futures.wait([self.future], timeout=seconds).done)

    def abort(self, reason: Exception) -> T:
        """Cancel the call. A result that was there first still counts; otherwise ``reason`` is raised."""
        self._is_aborted = True
        self._loop.call_soon_threadsafe(self._cancel)
        if self.wait(_CLOSING) and not self.future.cancelled() and self.future.exception() is None:
            return self.future.result()
        raise reason

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    global _current
    with _lock:
        if _current is None or _current.process != os.getpid():  # a forked child has no threads of its parent
            _current = _LoopThread()
        return _current.loop
