"""What PostgreSQL counts while something runs: commands, commits, WAL, rows, pages."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass
from types import TracebackType

import psycopg

#: what the server needs to be started with
SERVER = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
#: seconds after which an idle connection has handed its counts over (PGSTAT_IDLE_INTERVAL is 10)
HANDED_OVER = 11.0
LOOK_EVERY = 0.2

COUNTS = """
SELECT (SELECT sum(calls) FROM pg_stat_statements WHERE toplevel),
       (SELECT sum(calls) FROM pg_stat_statements
         WHERE toplevel AND query ~* '^\\s*(begin|commit|rollback|savepoint|release|set )'),
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
       (SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn),
       (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables),
       (SELECT sum(n_tup_upd - n_tup_hot_upd) FROM pg_stat_user_tables),
       (SELECT sum(shared_blks_hit + shared_blks_read) FROM pg_stat_statements WHERE toplevel),
       (SELECT sum(total_exec_time) FROM pg_stat_statements WHERE toplevel)
"""


@dataclass(frozen=True)
class Counts:
    """``commands``: what was sent, each a round trip unless several went in a pipeline; ``framing`` of them are BEGIN,
    COMMIT and the like. ``wal`` in octets, ``cold``: updates that wrote every index anew, ``pages`` looked at,
    ``busy``: milliseconds in the server.
    """

    commands: float = 0
    framing: float = 0
    commits: float = 0
    wal: float = 0
    rows: float = 0
    cold: float = 0
    pages: float = 0
    busy: float = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> Counts:
        return Counts(*(value * factor for value in astuple(self)))

    @property
    def statements(self) -> float:
        return self.commands - self.framing


class Counting:
    """Counts a block; ``counts`` is what all others did meanwhile, this observer's own commits left out."""

    def __init__(self) -> None:
        # Its own commands are not counted.
        self._connection = psycopg.connect(
            os.environ["DATABASE_URL"], autocommit=True, options="-c pg_stat_statements.track=none"
        )
        self._asked = 0
        self.counts = Counts()

    def __enter__(self) -> Counting:
        self._before, self._asked = self._count(), 0
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        threading.Event().wait(HANDED_OVER)
        asked = self._asked
        self.counts = self._count() - self._before - Counts(commits=asked + 1)

    def wait_until_idle(self, has_ended: str, args: tuple[object, ...], *, patience: float = 300) -> None:
        """Wait until a query gives true."""
        pause = threading.Event()
        for _ in range(int(patience / LOOK_EVERY)):
            self._asked += 1
            row = self._connection.execute(has_ended.encode(), args).fetchone()
            if row and row[0]:
                return
            pause.wait(LOOK_EVERY)
        raise TimeoutError("what is counted did not end in time")

    def close(self) -> None:
        self._connection.close()

    def _count(self) -> Counts:
        row = self._connection.execute(COUNTS.encode()).fetchone()
        assert row is not None
        return Counts(*(float(value or 0) for value in row))


def counted(run: Callable[[Counting], None]) -> Counts:
    counting = Counting()
    try:
        with counting:
            run(counting)
        return counting.counts
    finally:
        counting.close()


DEAREST = r"""
SELECT regexp_replace(query, '\s+', ' ', 'g'), calls, total_exec_time, shared_blks_hit + shared_blks_read
  FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT %s
"""


def forget() -> None:
    """Let the counts of statements begin anew."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        own.execute("SELECT pg_stat_statements_reset()")


def dearest(steps: int, *, most: int = 12) -> list[str]:
    """Return a table of the statements that took PostgreSQL longest since ``forget``, for each of so many steps."""
    lines = ["| statement | calls a step | ms a step | pages a call |", "|---|---|---|---|"]
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        for query, calls, busy, pages in own.execute(DEAREST, (most,)):
            text = str(query)[:90].replace("|", "\\|").replace("`", "'")
            lines.append(f"| `{text}` | {calls / steps:.2f} | {busy / steps:.3f} | {pages / calls:.1f} |")
    return lines
