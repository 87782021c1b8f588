"""A disk that takes a millisecond longer for every flush: PostgreSQL waits so long before each."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

ADDED = 0.001  # seconds
#: with no siblings asked for, the delay comes before every flush that a commit waits for, also when nobody else commits
DELAYED = {"commit_delay": "1000", "commit_siblings": "0"}
COMMITS = 100
#: of PostgreSQL's clock and a scheduler that is late
TOLERANCE = 0.9


class NotSlower(Exception):
    """Flushes did not get slower; the message says by how much."""


@contextmanager
def slow_flushes() -> Iterator[None]:
    """Let every commit's flush take ADDED longer, in the server of DATABASE_URL. Raises NotSlower."""
    before = seconds_a_commit()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        try:
            for name, value in DELAYED.items():
                own.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
            _reload(own, delayed=True)
            added = seconds_a_commit() - before
            if added < ADDED * TOLERANCE:
                raise NotSlower(f"with commit_delay a commit took {1000 * added:.2f} ms longer")
            yield
        finally:
            for name in DELAYED:
                own.execute(f"ALTER SYSTEM RESET {name}".encode())
            _reload(own, delayed=False)


def seconds_a_commit() -> float:
    """The median of commits, one after the other, that have something to flush."""
    taken = []
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        for _ in range(COMMITS):
            began = time.perf_counter()
            own.execute("SELECT pg_logical_emit_message(true, 'bench', 'a row of some octets')")
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _reload(own: psycopg.Connection[tuple[object, ...]], *, delayed: bool) -> None:
    """Let the server read its settings, and wait until it has; each session does so before its next statement."""
    own.execute("SELECT pg_reload_conf()")
    pause = threading.Event()
    for _ in range(100):
        row = own.execute("SELECT current_setting('commit_delay')").fetchone()
        if row is not None and (row[0] == DELAYED["commit_delay"]) is delayed:
            return
        pause.wait(0.05)
    raise TimeoutError("PostgreSQL did not read its settings within five seconds")
