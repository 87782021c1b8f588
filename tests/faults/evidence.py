"""What is known after a run: the ledger's lines, the rows, the events. Plain values, which a test can make up."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.faults.nodes import Row, Stack

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One request that the ledger received."""

    step_run: str
    execution: str
    attempt: int
    key: str
    handling: str
    mode: str
    applied: bool
    wall: float
    line: int = 0


@dataclass(frozen=True)
class ExecutionRow:
    id: str
    status: str
    reason: str = ""
    held: bool = False
    last_seq: int = 0
    parent_step_run: str = ""
    stop_requested_at: float | None = None


@dataclass(frozen=True)
class StepRow:
    id: str
    execution: str
    step_id: str
    kind: str
    status: str
    reason: str = ""
    effect: str = "none"
    created_at: float = 0.0
    due_at: float | None = None


@dataclass(frozen=True)
class AttemptRow:
    """Times are seconds since the epoch, by the database's clock. ``calls`` are the statuses the far side answered."""

    step_run: str
    number: int
    worker: str
    started_at: float
    ended_at: float | None = None
    outcome: str = ""
    calls: tuple[int, ...] = ()


@dataclass(frozen=True)
class EventRow:
    execution: str
    seq: int
    type: str
    step_run: str = ""
    held: bool = False


@dataclass(frozen=True)
class ReviewRow:
    step_run: str
    status: str
    resolution: str = ""


@dataclass
class Evidence:
    """Everything the verdict reads. ``asked``: step runs with an open manual request."""

    accepted: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    executions: list[ExecutionRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    reviews: list[ReviewRow] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    unsent: int = 0
    canaries: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def by_step(self, rows: Iterable[T]) -> dict[str, list[T]]:
        """Gather rows that have a ``step_run``."""
        found: dict[str, list[T]] = defaultdict(list)
        for row in rows:
            found[row.step_run].append(row)  # type: ignore[attr-defined]
        return found


QUERIES: dict[type[Any], str] = {
    ExecutionRow: """
SELECT id::text, status, reason, held_at IS NOT NULL, last_seq, COALESCE(parent_step_run_id::text, ''),
       stop_requested_at
  FROM executions_execution ORDER BY number""",
    StepRow: """
SELECT id::text, execution_id::text, step_id, kind, status, reason, effect, created_at, due_at FROM executions_steprun
 ORDER BY execution_id, position""",
    AttemptRow: """
SELECT step_run_id::text, number, worker, started_at, ended_at, outcome,
       ARRAY(SELECT (c->>'status')::int FROM jsonb_array_elements(calls) c WHERE c->>'status' IS NOT NULL)
  FROM executions_attempt ORDER BY step_run_id, number""",
    EventRow: """
SELECT execution_id::text, seq, type, COALESCE(step_run_id::text, ''), COALESCE((data->>'held')::bool, false)
  FROM executions_event
 ORDER BY execution_id, seq""",
    ReviewRow: "SELECT step_run_id::text, status, resolution FROM executions_review",
}
CANARY = """
SELECT 'event ' || id FROM executions_event WHERE data::text LIKE %s
UNION ALL SELECT 'step run ' || id FROM executions_steprun
 WHERE COALESCE(result::text, '') || message || note::text || COALESCE(verdict::text, '') LIKE %s
UNION ALL SELECT 'attempt ' || id FROM executions_attempt
 WHERE calls::text || message || COALESCE(late_note::text, '') LIKE %s
UNION ALL SELECT 'review ' || id FROM executions_review WHERE facts::text || why LIKE %s
UNION ALL SELECT 'scope ' || id FROM executions_scope WHERE variables::text || writes::text LIKE %s
UNION ALL SELECT 'connection ' || id FROM connectors_connection c WHERE c::text LIKE %s
"""


def collect(stack: Stack, accepted: Iterable[object], *, canary: str) -> Evidence:
    """Read everything: the ledger first, so that what it holds has its rows; the rows in one snapshot."""
    found = Evidence(accepted=[str(item) for item in accepted], lines=read_ledger(stack.ledger_file))
    with stack.connect("harness") as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = {kind: connection.execute(sql.encode()).fetchall() for kind, sql in QUERIES.items()}
        asked = connection.execute(
            "SELECT step_run_id::text FROM manual_manualrequest WHERE status = 'open'"
        ).fetchall()
        unsent = connection.execute("SELECT count(*) FROM executions_outboxmessage WHERE sent_at IS NULL").fetchone()
        canaries = connection.execute(CANARY.encode(), (f"%{canary}%",) * CANARY.count("%s")).fetchall()
    found.executions = [_made(ExecutionRow, row) for row in rows[ExecutionRow]]
    found.steps = [_made(StepRow, row) for row in rows[StepRow]]
    found.attempts = [_made(AttemptRow, row) for row in rows[AttemptRow]]
    found.events = [_made(EventRow, row) for row in rows[EventRow]]
    found.reviews = [_made(ReviewRow, row) for row in rows[ReviewRow]]
    found.asked = {row[0] for row in asked}
    found.unsent = int(unsent[0]) if unsent else 0
    found.canaries = [row[0] for row in canaries]
    for log in sorted((stack.directory / "log").glob("*.log")):
        text = log.read_text(errors="replace")
        found.canaries += [log.name] if canary in text else []
        found.alarms += [line.strip()[:300] for line in text.splitlines() if "alarm.orphan" in line]
    return found


def read_ledger(path: Path) -> list[Line]:
    wanted = {each.name for each in fields(Line)}
    lines = []
    for text in path.read_text().splitlines() if path.exists() else ():
        told = {name: value for name, value in json.loads(text).items() if name in wanted}
        lines.append(Line(**{**told, "attempt": int(told["attempt"] or 0)}))
    return lines


def _made(kind: type[T], row: Row) -> T:
    values = [value.timestamp() if isinstance(value, datetime) else value for value in row]
    return kind(*[tuple(value) if isinstance(value, list) else value for value in values])
