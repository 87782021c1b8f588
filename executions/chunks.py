"""What one nudge names, in the hands of one worker thread: what it does not come to goes back to the dispatcher.

A call that takes long would keep the step runs behind it waiting while other workers are idle, so one thread a
process watches the calls of such nudges and gives the rest back (ruling 32).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import Error, close_old_connections, connection

from executions import events, statements

log = logging.getLogger(__name__)

#: a call that takes longer, in seconds, keeps nothing waiting behind it
PATIENCE = 0.05


class Chunk:
    """Step runs that are not started yet, in order."""

    def __init__(self, step_runs: Sequence[UUID]) -> None:
        self._lock = threading.Lock()
        self._waiting = list(step_runs)
        self._calling_since: float | None = None

    def waiting(self) -> tuple[UUID, ...]:
        with self._lock:
            return tuple(self._waiting)

    def started(self, step_run: UUID) -> None:
        with self._lock:
            if step_run in self._waiting:
                self._waiting.remove(step_run)

    @contextmanager
    def calling(self) -> Iterator[None]:
        self._calling_since = time.monotonic()
        try:
            yield
        finally:
            self._calling_since = None

    def is_held_up(self) -> bool:
        since = self._calling_since
        return since is not None and time.monotonic() - since > PATIENCE

    def give_back(self) -> None:
        """Let others start what waits here. Where the database is away, the nudge is republished by its age."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            statements.unpublish(waiting)
        except Error:
            log.warning("nudge.not_given_back", extra={"step_runs": len(waiting)})
            connection.close()
            return
        events.wake_dispatcher()


class Watch:
    """One a process; its thread looks while a chunk of several step runs is worked on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: set[Chunk] = set()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, chunk: Chunk) -> Iterator[None]:
        with self._changed:
            self._chunks.add(chunk)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="chunks", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._chunks.discard(chunk)

    def _look(self) -> None:
        while True:
            with self._changed:
                while not self._chunks:
                    connection.close()
                    self._changed.wait()
            time.sleep(PATIENCE / 2)
            with self._changed:
                held_up = [chunk for chunk in self._chunks if chunk.is_held_up() and chunk.waiting()]
            if held_up:
                close_old_connections()
            for chunk in held_up:
                chunk.give_back()


_watch = Watch()


@contextmanager
def opened(step_runs: Sequence[UUID]) -> Iterator[Chunk]:
    """Work on what a nudge names; what is not started at the end of the block goes back."""
    chunk = Chunk(step_runs)
    try:
        if len(step_runs) > 1:
            with _watch.over(chunk):
                yield chunk
        else:
            yield chunk
    finally:
        chunk.give_back()
