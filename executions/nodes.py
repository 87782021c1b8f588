"""Heartbeats of the processes that work and sweep: rows, so that health needs no broker."""

from __future__ import annotations

import logging
import os
import threading

from django.db import Error, close_old_connections, connection

log = logging.getLogger(__name__)

BEAT = 3.0

UPSERT = """
INSERT INTO executions_node (name, role, pid, slots, started_at, seen_at)
VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp(), slots = EXCLUDED.slots, pid = EXCLUDED.pid
"""


def beat(name: str, *, role: str, slots: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, (name, role, os.getpid(), slots))
        cursor.execute("DELETE FROM executions_node WHERE seen_at < clock_timestamp() - interval '1 hour'")


def forget(name: str) -> None:
    """A process that drains says goodbye, so that nothing is published for it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM executions_node WHERE name = %s", (name,))


def keep_beating(name: str, *, slots: int, stop: threading.Event) -> threading.Thread:
    """Start the heartbeat of a worker process; it ends when ``stop`` is set."""

    def run() -> None:
        while True:
            try:
                close_old_connections()
                beat(name, role="work", slots=slots)
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
