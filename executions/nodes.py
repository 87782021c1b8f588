"""Heartbeats of the processes that work and sweep: rows, so that health needs no broker."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import timedelta
from typing import Final

from django.db import Error, close_old_connections, connection

log = logging.getLogger(__name__)

BEAT = 3.0
#: when a sweep that was not seen any more is missed
SWEEP_LATE: Final = timedelta(seconds=10)
#: how often a process repeats the alarm
TOLD_EVERY: Final = 60.0

UPSERT = """
INSERT INTO executions_node (name, role, pid, slots, started_at, seen_at)
VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp(), slots = EXCLUDED.slots, pid = EXCLUDED.pid
"""


def beat(name: str, *, role: str, slots: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, (name, role, os.getpid(), slots))
        cursor.execute("DELETE FROM executions_node WHERE seen_at < clock_timestamp() - interval '1 hour'")


def sweep_age() -> timedelta | None:
    """How long ago a sweep was last seen, by the database's clock; None: none was seen within the last hour."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - max(seen_at) FROM executions_node WHERE role = 'sweep'")
        age: timedelta | None = cursor.fetchone()[0]
    return age


class SweepWatch:
    """Raises the alarm ``sweep_late``. Workers look, because no sweep is left to do so."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told_at: float | None = None

    def look(self) -> bool:
        """Look once; return whether every sweep is missed. One that never was has as long to come as this process."""
        age = sweep_age()
        if age is None:
            age = timedelta(seconds=time.monotonic() - self._began)
        if age <= SWEEP_LATE:
            if self._told_at is not None:
                log.warning("sweep.is_back")
            self._told_at = None
            return False
        if self._told_at is None or time.monotonic() - self._told_at >= TOLD_EVERY:
            self._told_at = time.monotonic()
            log.error("alarm.sweep_late", extra={"seconds": round(age.total_seconds())})
        return True


def forget(name: str) -> None:
    """A process that drains says goodbye, so that nothing is published for it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM executions_node WHERE name = %s", (name,))


def keep_beating(name: str, *, slots: int, stop: threading.Event) -> threading.Thread:
    """Start the heartbeat of a worker process; it ends when ``stop`` is set."""

    watch = SweepWatch()

    def run() -> None:
        while True:
            try:
                close_old_connections()
                beat(name, role="work", slots=slots)
                watch.look()
            except Error:
                log.warning("heartbeat.lost", exc_info=True)
                connection.close()
            if stop.wait(BEAT):
                break
        try:
            forget(name)
        except Error:
            log.warning("heartbeat.not_withdrawn")
        connection.close()

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    return thread
