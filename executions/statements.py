"""The SQL of the per-step path: named statements, on Django's own connection, inside the caller's transaction.

Every comparison of time uses the database's clock (invariant I20). Each statement names the index it uses and
the invariant it keeps. Moves written here are checked against ``engine.statuses`` by one test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from executions.engine.facts import ScopeFact
from executions.rows import (
    ExecutionRow,
    NewStepRun,
    StepRunRow,
    read_json,
    scope_fact,
    scope_id,
    step_run_id,
    storable,
    write_json,
)


def _one(sql: str, args: Sequence[Any]) -> Sequence[Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        row: Sequence[Any] | None = cursor.fetchone()
        return row


def _all(sql: str, args: Sequence[Any]) -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def _count(sql: str, args: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return int(cursor.rowcount)


def _insert(sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Most turns insert one row or none; a pipeline is worth its cost for many."""
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, rows[0])
        elif rows:
            cursor.executemany(sql, rows)


def database_now() -> datetime:
    row = _one("SELECT clock_timestamp()", ())
    assert row is not None
    now: datetime = row[0]
    return now


# Primary key of the execution. Every move happens under this lock (I4, I12, I17, I18).
LOCK = "SELECT " + ExecutionRow.COLUMNS + ", clock_timestamp() FROM executions_execution WHERE id = %s FOR UPDATE"  # noqa: S608 (constants of this code)


def lock_execution(execution_id: UUID) -> ExecutionRow | None:
    row = _one(LOCK, (execution_id,))
    return ExecutionRow.read(row) if row else None


def wait_for_locks_at_most(span: timedelta) -> None:
    """Until the end of this transaction; what has to wait longer raises OperationalError (LockNotAvailable)."""
    _one("SELECT set_config('lock_timeout', %s, true)", (f"{int(span.total_seconds() * 1000)}ms",))


def execution_of(step_run: UUID) -> UUID | None:
    row = _one("SELECT execution_id FROM executions_steprun WHERE id = %s", (step_run,))
    return row[0] if row else None


# Primary key of the step run; zero rows: somebody else has it, or it is not due (I4). The caller holds the
# execution's lock and has seen that it is live, not held and not stopping.
CLAIM = (
    """
UPDATE executions_steprun s
   SET status = 'running', fence = s.fence + 1, worker = %s, lease_until = clock_timestamp() + %s,
       started_at = COALESCE(s.started_at, clock_timestamp()), published_at = NULL, publications = 0
 WHERE s.id = %s AND s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp()
RETURNING """
    + StepRunRow.COLUMNS
)


def claim(step_run: UUID, *, worker: str, lease: timedelta) -> StepRunRow | None:
    row = _one(CLAIM, (worker, lease, step_run))
    return StepRunRow.read(row) if row else None


# Index step_run_order (execution, position).
HELD = (
    "SELECT " + StepRunRow.COLUMNS + " FROM executions_steprun s"  # noqa: S608 (constants of this code)
    " WHERE s.execution_id = %s AND s.worker = %s AND s.status = 'running' AND s.lease_until > clock_timestamp()"
)


def held_by(execution_id: UUID, worker: str) -> StepRunRow | None:
    row = _one(HELD, (execution_id, worker))
    return StepRunRow.read(row) if row else None


def may_act(row: StepRunRow) -> bool:
    """True while this fence may act and no stop is asked for; the execution's row is shared until the commit (I18)."""
    share = "SELECT 1 FROM executions_execution WHERE id = %s AND stop_as = '' FOR SHARE"
    if _one(share, (row.execution_id,)) is None:
        return False
    # Read after the lock: the fence moves only under it.
    leased = "SELECT 1 FROM executions_steprun WHERE id = %s AND fence = %s AND status = 'running'"
    return _one(leased + " AND lease_until > clock_timestamp()", (row.id, row.fence)) is not None


def insert_attempt(step_run: UUID, number: int, worker: str) -> None:
    _count(
        "INSERT INTO executions_attempt (step_run_id, number, worker, started_at, outcome, code, message, calls)"
        " VALUES (%s, %s, %s, clock_timestamp(), '', '', '', '[]')",
        (step_run, number, worker),
    )


# Primary keys; the execution's row is read FOR SHARE so that a stop and an intent have an order (I18). Zero
# rows: the fence moved, the lease ran out or a stop was asked for, and no call is made (I6).
INTENT = """
WITH going AS (
    SELECT id FROM executions_execution WHERE id = %s AND stop_as = '' FOR SHARE
)
UPDATE executions_steprun s
   SET intent_fence = s.fence, effect = 'intended', lease_until = clock_timestamp() + %s,
       effective_class = %s, first_intent_at = COALESCE(s.first_intent_at, clock_timestamp()),
       class_valid_until = COALESCE(s.class_valid_until, s.first_intent_at + %s, clock_timestamp() + %s),
       note = s.note || jsonb_build_object('call_seconds', %s::float8)
  FROM going
 WHERE s.id = %s AND s.fence = %s AND s.status = 'running' AND s.lease_until > clock_timestamp()
"""


def note_intent(
    row: StepRunRow, *, effect_class: str, valid_for: timedelta | None, call_limit: timedelta, lease: timedelta
) -> bool:
    """Note that this fence is about to call; ``call_limit``, the longest its calls may take, is for a quarantine."""
    seconds = call_limit.total_seconds()
    args = (row.execution_id, lease, effect_class, valid_for, valid_for, seconds, row.id, row.fence)
    return _count(INTENT, args) == 1


# Primary keys; one statement for everything this process holds (I6).
RENEW = """
UPDATE executions_steprun s
   SET lease_until = clock_timestamp() + %s
  FROM unnest(%s::uuid[], %s::int[]) AS held(id, fence)
 WHERE s.id = held.id AND s.fence = held.fence AND s.status = 'running' AND s.lease_until > clock_timestamp()
RETURNING s.id, s.fence, (SELECT e.stop_as FROM executions_execution e WHERE e.id = s.execution_id)
"""


def renew(held: Iterable[tuple[UUID, int]], *, lease: timedelta) -> dict[tuple[UUID, int], str]:
    """Renew leases; return (step run, fence) -> "" or how its execution is stopping. What is missing is lost."""
    ids = list(held)
    rows = _all(RENEW, (lease, [item[0] for item in ids], [item[1] for item in ids]))
    return {(row[0], row[1]): row[2] for row in rows}


# Primary key; the fence is what lets exactly one attempt write (I5).
OUTCOME = """
UPDATE executions_steprun
   SET status = %s, reason = %s, message = %s, effect = %s, result = %s, tries = tries + %s, due_at = %s,
       lease_until = NULL, worker = NULL, quarantine_until = %s, note = note || %s::jsonb,
       lost_attempts = CASE WHEN %s THEN 0 ELSE lost_attempts END,
       ended_at = CASE WHEN %s THEN clock_timestamp() END
 WHERE id = %s AND fence = %s AND status = 'running'
"""


def write_outcome(
    row: StepRunRow,
    *,
    status: str,
    reason: str = "",
    message: str = "",
    effect: str,
    result: Any = None,
    counts: bool = True,
    due_at: datetime | None = None,
    quarantine_until: datetime | None = None,
    note: dict[str, Any] | None = None,
) -> bool:
    is_final = status in ("completed", "failed", "timed_out", "skipped", "cancelled")
    args = (
        status,
        reason,
        storable(message),
        effect,
        None if result is None else write_json(result),
        1 if counts else 0,
        due_at,
        quarantine_until,
        write_json(note or {}),
        counts,
        is_final,
        row.id,
        row.fence,
    )
    return _count(OUTCOME, args) == 1


def end_attempt(
    step_run: UUID, number: int, *, outcome: str, code: str = "", message: str = "", calls: Sequence[Any] = ()
) -> None:
    _count(
        "UPDATE executions_attempt SET ended_at = clock_timestamp(), outcome = %s, code = %s, message = %s, calls = %s"
        " WHERE step_run_id = %s AND number = %s AND ended_at IS NULL",
        (outcome, storable(code)[:64], storable(message), write_json(list(calls)), step_run, number),
    )


def keep_late_note(step_run: UUID, number: int, note: dict[str, Any]) -> bool:
    """Keep what came too late on its attempt; return False if that attempt was recorded in time (I5, I10)."""
    return (
        _count(
            "UPDATE executions_attempt a SET late_note = %s, ended_at = COALESCE(ended_at, clock_timestamp())"
            " WHERE step_run_id = %s AND number = %s"
            " AND (ended_at IS NULL OR outcome IN ('lost', 'timed_out', 'cancelled'))",
            (write_json(note), step_run, number),
        )
        == 1
    )


# Index step_run_id (primary key) by compare-and-set on the status: one caller wins (I2, I14).
MOVE = """
UPDATE executions_steprun
   SET status = %s, reason = %s, message = %s, verdict = COALESCE(%s::jsonb, verdict),
       result = COALESCE(%s::jsonb, result), due_at = %s, published_at = NULL, publications = 0,
       actor = COALESCE(%s, actor), fence = fence + %s, lease_until = NULL, worker = NULL,
       effect = COALESCE(%s, effect), note = note || %s::jsonb,
       ended_at = CASE WHEN %s THEN clock_timestamp() END
 WHERE id = %s AND status = ANY(%s)
"""


def move_step_run(
    step_run: UUID,
    *,
    old: Sequence[str],
    new: str,
    reason: str = "",
    message: str = "",
    verdict: Any = None,
    result: Any = None,
    due_at: datetime | None = None,
    actor: str | None = None,
    raise_fence: bool = False,
    effect: str | None = None,
    note: dict[str, Any] | None = None,
) -> bool:
    is_final = new in ("completed", "failed", "timed_out", "skipped", "cancelled")
    args = (
        new,
        reason,
        storable(message),
        None if verdict is None else write_json(verdict),
        None if result is None else write_json(result),
        due_at,
        actor,
        1 if raise_fence else 0,
        effect,
        write_json(note or {}),
        is_final,
        step_run,
        list(old),
    )
    return _count(MOVE, args) == 1


# Primary keys up the chain of scopes, at most as deep as the playbook is nested.
CHAIN = """
WITH RECURSIVE chain AS (
    SELECT sc.*, 0 AS height FROM executions_scope sc WHERE sc.id = %s
    UNION ALL
    SELECT up.*, chain.height + 1 FROM executions_scope up JOIN chain ON up.id = chain.parent_id
)
SELECT c.path, p.path, c.opener_step, c.key, c.position, c.status, c.is_isolated, c.variables, c.writes
  FROM chain c LEFT JOIN chain p ON p.id = c.parent_id
 ORDER BY c.height
"""


def scope_chain(scope: UUID) -> list[ScopeFact]:
    return [scope_fact(row) for row in _all(CHAIN, (scope,))]


# Index on parent_id.
BRANCHES = """
SELECT c.path, %s, c.opener_step, c.key, c.position, c.status, c.is_isolated, c.variables, c.writes
  FROM executions_scope c WHERE c.parent_id = %s AND c.opener_step = %s ORDER BY c.position
"""


def branches(execution_id: UUID, opener: str, parent: str) -> list[ScopeFact]:
    return [scope_fact(row) for row in _all(BRANCHES, (parent, scope_id(execution_id, parent), opener))]


def scope_exists(execution_id: UUID, path: str) -> ScopeFact | None:
    chain = scope_chain(scope_id(execution_id, path))
    return chain[0] if chain else None


INSERT_SCOPE = """
INSERT INTO executions_scope (id, execution_id, parent_id, path, opener_step, key, position, status, is_isolated,
                              variables, writes)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""


def insert_scopes(execution_id: UUID, scopes: Sequence[ScopeFact]) -> None:
    rows = [
        (
            scope_id(execution_id, scope.path),
            execution_id,
            None if scope.parent is None else scope_id(execution_id, scope.parent),
            scope.path,
            scope.opener,
            scope.key,
            scope.position,
            scope.status.value,
            scope.is_isolated,
            write_json(scope.variables),
            write_json(scope.writes),
        )
        for scope in scopes
    ]
    _insert(INSERT_SCOPE, rows)


def update_scope(execution_id: UUID, scope: ScopeFact) -> None:
    _count(
        "UPDATE executions_scope SET status = %s, variables = %s, writes = %s WHERE id = %s",
        (scope.status.value, write_json(scope.variables), write_json(scope.writes), scope_id(execution_id, scope.path)),
    )


# The identity (execution, scope, step) is the primary key, so a decision carried out twice inserts once (I12, I13).
INSERT_STEP_RUN = """
INSERT INTO executions_steprun (
    id, execution_id, tenant_id, scope_id, step_id, scope_path, step_type, kind, position, status, reason, message,
    due_at, deadline_at, delay, verdict, created_at, started_at, ended_at,
    fence, intent_fence, publications, effect, effective_class, lost_attempts, tries, note, actor)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
        0, 0, 0, 'none', '', 0, 0, '{}', '')
ON CONFLICT (id) DO NOTHING
"""


def insert_step_runs(execution: ExecutionRow, runs: Sequence[NewStepRun], *, now: datetime) -> None:
    rows: list[Sequence[Any]] = []
    for run in runs:
        is_final = run.status in ("completed", "failed")
        has_begun = is_final or run.status == "waiting"
        rows.append(
            (
                step_run_id(execution.id, run.scope_path, run.step_id),
                execution.id,
                execution.tenant_id,
                scope_id(execution.id, run.scope_path),
                run.step_id,
                run.scope_path,
                run.step_type,
                run.kind,
                run.position,
                run.status,
                run.reason,
                storable(run.message),
                run.due_at,
                run.deadline_at,
                run.delay,
                None if run.verdict is None else write_json(run.verdict),
                now,
                now if has_begun else None,
                now if is_final else None,
            )
        )
    _insert(INSERT_STEP_RUN, rows)


# One statement for all events of a turn; seq is unique in an execution (I23).
INSERT_EVENTS = """
INSERT INTO executions_event (execution_id, seq, type, at, step_run_id, data)
SELECT %s, e.seq, e.type, %s, e.step_run, e.data
  FROM unnest(%s::bigint[], %s::text[], %s::uuid[], %s::jsonb[]) AS e(seq, type, step_run, data)
"""


def insert_events(execution_id: UUID, at: datetime, rows: Sequence[tuple[int, str, UUID | None, str]]) -> None:
    """Insert (seq, type, step run, data as JSON text)."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    _count(INSERT_EVENTS, (execution_id, at, *columns))


# A turn may come after the end, for a late note or a review: why and when it ended stay as they are (I2).
UPDATE_EXECUTION = """
UPDATE executions_execution
   SET status = %s, reason = CASE WHEN ended_at IS NULL THEN %s ELSE reason END, message = %s, started_at = %s,
       ended_at = COALESCE(ended_at, %s), held_at = %s, stop_as = %s,
       stop_reason = %s, stop_requested_at = COALESCE(stop_requested_at, %s), last_seq = %s, step_runs_made = %s,
       failed_steps = %s, exception_handled = COALESCE(%s, exception_handled)
 WHERE id = %s
"""


def update_execution(args: Sequence[Any]) -> None:
    _count(UPDATE_EXECUTION, args)


# Index step_run_order (execution, position); tells running from paused (E3, rulings 1 and 7).
CAN_MOVE = """
SELECT EXISTS (
    SELECT 1 FROM executions_steprun
     WHERE execution_id = %s
       AND (status IN ('running', 'retrying') OR (status = 'pending' AND due_at <= clock_timestamp())))
"""


def can_move(execution_id: UUID) -> bool:
    row = _one(CAN_MOVE, (execution_id,))
    assert row is not None
    return bool(row[0])


def publish_anew(execution_id: UUID) -> None:
    """What was published while nothing could be claimed is published again without waiting for its age."""
    _count(
        "UPDATE executions_steprun SET published_at = NULL, publications = 0 WHERE execution_id = %s"
        " AND status IN ('pending', 'retrying') AND published_at IS NOT NULL",
        (execution_id,),
    )


def set_deadline(step_run: UUID, deadline_at: datetime | None) -> None:
    _count("UPDATE executions_steprun SET deadline_at = %s WHERE id = %s", (deadline_at, step_run))


def has_live_step_runs(execution_id: UUID) -> bool:
    row = _one(
        "SELECT EXISTS (SELECT 1 FROM executions_steprun WHERE execution_id = %s AND status ="
        " ANY('{pending,running,retrying,waiting,uncertain}'))",
        (execution_id,),
    )
    assert row is not None
    return bool(row[0])


# Index step_run_order (execution, position).
STEP_OUTPUTS = """
SELECT step_id, scope_path, step_type, status, result FROM executions_steprun
 WHERE execution_id = %s AND step_type NOT IN ('start', 'end') AND status NOT IN ('pending', 'cancelled')
 ORDER BY position
"""

_TOLD = {"timed_out": "failed", "uncertain": "waiting", "retrying": "running"}


@dataclass(frozen=True)
class StepOutput:
    """What an S4E template may read of one visit: ``told`` is {"status", "output"}."""

    step_id: str
    scope_path: str
    is_over: bool
    told: dict[str, Any]


def step_outputs(execution_id: UUID) -> list[StepOutput]:
    """Return what the steps so far put out, in the order in which they were opened."""
    return [
        StepOutput(
            step_id,
            scope_path,
            status in ("completed", "failed", "timed_out"),
            {"status": _told(step_type, status), "output": (read_json(result) or {}).get("output")},
        )
        for step_id, scope_path, step_type, status, result in _all(STEP_OUTPUTS, (execution_id,))
    ]


def _told(step_type: str, status: str) -> str:
    if status == "waiting" and step_type in ("if-condition", "switch-condition"):
        return "completed"  # it has decided; the step is its branch now
    return _TOLD.get(status, status)


# Index on parent_id, down from the branches that are stopped.
BELOW = """
WITH RECURSIVE below AS (
    SELECT id FROM executions_scope WHERE id = ANY(%s)
    UNION ALL
    SELECT sc.id FROM executions_scope sc JOIN below ON sc.parent_id = below.id
)
SELECT id FROM below
"""


def scopes_below(scopes: Sequence[UUID]) -> list[UUID]:
    return [row[0] for row in _all(BELOW, (list(scopes),))]


def stop_scopes(scopes: Sequence[UUID]) -> None:
    _count("UPDATE executions_scope SET status = 'stopped' WHERE id = ANY(%s) AND status = 'open'", (list(scopes),))


def holds_fence(step_run: UUID, fence: int) -> bool:
    """True while this fence may write (I5). The caller holds the execution's lock."""
    row = _one(
        "SELECT 1 FROM executions_steprun WHERE id = %s AND fence = %s AND status = 'running'", (step_run, fence)
    )
    return row is not None


def since_first_intent(step_run: UUID) -> timedelta:
    row = _one("SELECT clock_timestamp() - first_intent_at FROM executions_steprun WHERE id = %s", (step_run,))
    found: timedelta | None = row[0] if row else None
    return found or timedelta(0)
