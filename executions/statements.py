"""The SQL of the per-step path: named statements, on Django's own connection, inside the caller's transaction.

Every comparison of time uses the database's clock (invariant I20). Each statement names the index it uses and
the invariant it keeps. Moves written here are checked against ``engine.statuses`` by one test.

A row that is found by its key is asked for its status as ``status || ''``: so no index on some statuses is taken for
the key. To a plan that was made while hardly anything was due such an index looks emptier than the key, and by the time
ten thousand step runs are due that plan reads all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from executions import payloads
from executions.breakers import FAILING_PLAN, NOT_CLOSED_PLAN, WAITING
from executions.caps import CAPPED, CAPPED_PLAN
from executions.claimable import CLAIMABLE, QUEUED, QUEUED_BY_KEY, SERVED
from executions.engine.facts import ScopeFact
from executions.rows import ExecutionRow, NewStepRun, StepRunRow, scope_fact, scope_id, step_run_id
from executions.stored_json import brief, storable, write_json
from executions.switches import SWITCHED, SWITCHED_PLAN, SWITCHED_READ

Args = Sequence[Any] | Mapping[str, Any]


def _one(sql: str, args: Args) -> Sequence[Any] | None:
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


def _of(step_run: UUID) -> UUID:
    found = execution_of(step_run)
    assert found is not None
    return found


def wait_for_locks_at_most(span: timedelta) -> None:
    """Until the end of this transaction; what has to wait longer raises OperationalError (LockNotAvailable)."""
    _one("SELECT set_config('lock_timeout', %s, true)", (f"{int(span.total_seconds() * 1000)}ms",))


def execution_of(step_run: UUID) -> UUID | None:
    row = _one("SELECT execution_id FROM executions_steprun WHERE id = %s", (step_run,))
    return row[0] if row else None


# Primary key of the step run; zero rows: somebody else has it, it is not due (I4), or a switch, a breaker or a cap is
# over it. The caller holds the execution's lock and has seen that it is live, not held and not stopping.
_CLAIM = f"""
WITH s AS (
    UPDATE executions_steprun s
       SET status = 'running', fence = s.fence + 1, worker = %s, lease_until = clock_timestamp() + %s,
           started_at = COALESCE(s.started_at, clock_timestamp()), published_at = NULL, publications = 0
     WHERE s.id = %s AND s.status || '' IN ('pending', 'retrying') AND s.due_at <= clock_timestamp()
       AND NOT {SWITCHED} AND NOT {WAITING}"""  # noqa: S608 (constants of this code)
_CLAIMED = f"""
    RETURNING s.*
), attempt AS (
    INSERT INTO executions_attempt (step_run_id, number, worker, started_at, outcome, code, message, calls)
    SELECT s.id, s.fence, s.worker, clock_timestamp(), '', '', '', '[]' FROM s
)
SELECT {StepRunRow.COLUMNS} FROM s
"""  # noqa: S608 (constants of this code)
CLAIM = f"{_CLAIM} AND NOT {CAPPED}{_CLAIMED}"
CLAIM_PLACE = _CLAIM + _CLAIMED


def claim(step_run: UUID, *, worker: str, lease: timedelta, has_place: bool = False) -> StepRunRow | None:
    """Claim a due step run and open its attempt, whose number is the new fence.

    ``has_place``: the caller holds the locks of the caps over it, and each has room.
    """
    row = _one(CLAIM_PLACE if has_place else CLAIM, (worker, lease, step_run))
    return StepRunRow.read(row) if row else None


@dataclass(frozen=True)
class DueRun:
    """A due step run, locked. ``needs`` is empty while nothing is known of its calls."""

    status: str
    needs: tuple[str, ...]
    step_id: str
    scope_path: str


def lock_due(step_run: UUID) -> DueRun | None:
    """Lock a step run that could be claimed but for the gates; the caller holds the execution's lock."""
    row = _one(
        "SELECT status, needs, step_id, scope_path FROM executions_steprun"
        " WHERE id = %s AND status || '' IN ('pending', 'retrying') AND due_at <= clock_timestamp() FOR UPDATE",
        (step_run,),
    )
    return None if row is None else DueRun(row[0], tuple(row[1] or ()), row[2], row[3])


def lock_run(step_run: UUID) -> None:
    _one("SELECT 1 FROM executions_steprun WHERE id = %s FOR UPDATE", (step_run,))


def postpone(step_run: UUID, *, due_at: datetime, reason: str) -> bool:
    """S21: let a due step run wait until then, as one that retries."""
    return move_step_run(step_run, old=("pending", "retrying"), new="retrying", due_at=due_at, reason=reason)


def keep_needs(step_run: UUID, needs: Sequence[str] | None) -> None:
    """Write down what the calls of a step run go through, or that this is not known any more."""
    _count("UPDATE executions_steprun SET needs = %s WHERE id = %s", (None if needs is None else list(needs), step_run))


@dataclass(frozen=True)
class Standing:
    """What stands before a call. ``is_broken``: a breaker is not closed; ``is_failing``: one has counted failures."""

    is_switched: bool
    is_capped: bool
    is_broken: bool
    is_failing: bool


# Primary key.
STANDING = f"""
SELECT {SWITCHED_READ}, {CAPPED_PLAN}, {NOT_CLOSED_PLAN}, {FAILING_PLAN}
  FROM executions_steprun s, (SELECT %s::text[] AS needs) plan WHERE s.id = %s
"""  # noqa: S608 (constants of this code)


def standing(step_run: UUID, needs: Sequence[str]) -> Standing:
    row = _one(STANDING, (list(needs), step_run))
    return Standing(*row) if row else Standing(False, False, False, False)


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
    leased = "SELECT 1 FROM executions_steprun WHERE id = %s AND fence = %s AND status || '' = 'running'"
    return _one(leased + " AND lease_until > clock_timestamp()", (row.id, row.fence)) is not None


# Primary keys; the execution's row is read FOR SHARE so that a stop and an intent have an order (I18). Zero
# rows: the fence moved, the lease ran out, a stop was asked for or a gate is shut, and no call is made (I6).
_INTENT = f"""
WITH going AS (
    SELECT id FROM executions_execution WHERE id = %s AND stop_as = '' FOR SHARE
), plan AS (
    SELECT %s::text[] AS needs
)
UPDATE executions_steprun s
   SET intent_fence = s.fence, effect = 'intended', lease_until = clock_timestamp() + %s,
       effective_class = %s, first_intent_at = COALESCE(s.first_intent_at, clock_timestamp()),
       class_valid_until = COALESCE(s.class_valid_until, s.first_intent_at + %s, clock_timestamp() + %s),
       note = s.note || jsonb_build_object('call_seconds', %s::float8, 'intended', %s::jsonb), needs = plan.needs
  FROM going, plan
 WHERE s.id = %s AND s.fence = %s AND s.status || '' = 'running' AND s.lease_until > clock_timestamp()
   AND NOT {SWITCHED_PLAN}"""  # noqa: S608 (constants of this code)
_NOTED = f"\nRETURNING {FAILING_PLAN}"
INTENT = f"{_INTENT} AND NOT {CAPPED_PLAN} AND NOT {NOT_CLOSED_PLAN}{_NOTED}"
INTENT_PLACE = _INTENT + _NOTED


@dataclass(frozen=True)
class Noted:
    """A call may be made. ``is_failing``: earlier calls failed, so that an answer is worth writing down.

    ``frees_place``: it takes a place under a cap of its connection.
    """

    is_failing: bool = False
    frees_place: bool = False


def note_intent(
    row: StepRunRow,
    *,
    effect_class: str,
    valid_for: timedelta | None,
    call_limit: timedelta,
    lease: timedelta,
    calls: Sequence[Any] = (),
    needs: Sequence[str] = (),
    has_place: bool = False,
) -> Noted | None:
    """Note that this fence is about to call; ``call_limit``, the longest its calls may take, is for a quarantine.

    ``calls``: what is about to be called, without secrets, for a person who may have to judge it.

    ``needs``: what the calls go through. ``has_place``: the caller holds the locks of the caps and breakers over them.
    """
    seconds, shown = call_limit.total_seconds(), write_json({"attempt": row.fence, "calls": list(calls)})
    args = (row.execution_id, list(needs), lease, effect_class, valid_for, valid_for, seconds, shown, row.id, row.fence)
    found = _one(INTENT_PLACE if has_place else INTENT, args)
    return Noted(found[0]) if found else None


# Primary keys; what a call without an intent takes a place with.
NOTE_NEEDS = f"""
UPDATE executions_steprun s SET needs = plan.needs FROM (SELECT %s::text[] AS needs) plan
 WHERE s.id = %s AND s.fence = %s AND s.status || '' = 'running' AND s.lease_until > clock_timestamp()
   AND NOT {SWITCHED_READ}{_NOTED}
"""  # noqa: S608 (constants of this code)


def note_needs_of(row: StepRunRow, needs: Sequence[str]) -> Noted | None:
    """Write down what a call that only reads goes through. None: a switch is on, or the fence moved."""
    found = _one(NOTE_NEEDS, (list(needs), row.id, row.fence))
    return Noted(found[0]) if found else None


#: how `renew` tells that a switch is on
SWITCH = "switch"

# Primary keys; one statement for everything this process holds (I6).
RENEW = f"""
UPDATE executions_steprun s
   SET lease_until = clock_timestamp() + %s
  FROM unnest(%s::uuid[], %s::int[]) AS held(id, fence)
 WHERE s.id = held.id AND s.fence = held.fence AND s.status = 'running' AND s.lease_until > clock_timestamp()
RETURNING s.id, s.fence, (SELECT e.stop_as FROM executions_execution e WHERE e.id = s.execution_id), {SWITCHED}
"""  # noqa: S608 (constants of this code)


def renew(held: Iterable[tuple[UUID, int]], *, lease: timedelta) -> dict[tuple[UUID, int], str]:
    """Renew leases; return (step run, fence) -> "", how its execution is stopping, or SWITCH. What lacks is lost."""
    ids = list(held)
    rows = _all(RENEW, (lease, [item[0] for item in ids], [item[1] for item in ids]))
    return {(row[0], row[1]): row[2] or (SWITCH if row[3] else "") for row in rows}


# Primary key; the fence is what lets exactly one attempt write (I5).
OUTCOME = """
UPDATE executions_steprun
   SET status = %s, reason = %s, message = %s, effect = %s, result = %s, tries = tries + %s, due_at = %s,
       lease_until = NULL, worker = NULL, quarantine_until = %s, note = note || %s::jsonb,
       lost_attempts = CASE WHEN %s THEN 0 ELSE lost_attempts END,
       ended_at = CASE WHEN %s THEN clock_timestamp() END
 WHERE id = %s AND fence = %s AND status || '' = 'running'
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
        brief(message),
        effect,
        None if result is None else payloads.write(row.execution_id, result),
        1 if counts else 0,
        due_at,
        quarantine_until,
        payloads.write(row.execution_id, note or {}, depth=2),
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
        (outcome, storable(code)[:64], brief(message), write_json(list(calls)), step_run, number),
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
 WHERE id = %s AND status || '' = ANY(%s)
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
        brief(message),
        None if verdict is None else write_json(verdict),
        None if result is None else payloads.write(_of(step_run), result),
        due_at,
        actor,
        1 if raise_fence else 0,
        effect,
        payloads.write(_of(step_run), note, depth=2) if note else "{}",
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
SELECT c.execution_id, c.path, p.path, c.opener_step, c.key, c.position, c.status, c.is_isolated, c.variables, c.writes
  FROM chain c LEFT JOIN chain p ON p.id = c.parent_id
 ORDER BY c.height
"""


def scope_chain(scope: UUID) -> list[ScopeFact]:
    return [scope_fact(row) for row in _all(CHAIN, (scope,))]


# Index on parent_id.
BRANCHES = """
SELECT c.execution_id, c.path, %s, c.opener_step, c.key, c.position, c.status, c.is_isolated, c.variables, c.writes
  FROM executions_scope c WHERE c.parent_id = %s AND c.opener_step = %s ORDER BY c.position
"""


def branches(execution_id: UUID, opener: str, parent: str) -> list[ScopeFact]:
    return [scope_fact(row) for row in _all(BRANCHES, (parent, scope_id(execution_id, parent), opener))]


# Index on parent_id; ends at the first that is open.
OPEN_BRANCH = """
SELECT EXISTS (SELECT 1 FROM executions_scope c
                WHERE c.parent_id = %s AND c.opener_step = %s AND c.status = 'open' AND c.id <> ALL(%s))
"""


def has_open_branch(execution_id: UUID, opener: str, parent: str, *, besides: Iterable[str]) -> bool:
    left_out = [scope_id(execution_id, path) for path in besides]
    row = _one(OPEN_BRANCH, (scope_id(execution_id, parent), opener, left_out))
    return row is not None and bool(row[0])


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
            payloads.write(execution_id, scope.variables),
            payloads.write(execution_id, scope.writes),
        )
        for scope in scopes
    ]
    _insert(INSERT_SCOPE, rows)


def update_scope(execution_id: UUID, scope: ScopeFact) -> None:
    variables, writes = payloads.write(execution_id, scope.variables), payloads.write(execution_id, scope.writes)
    _count(
        "UPDATE executions_scope SET status = %s, variables = %s, writes = %s WHERE id = %s",
        (scope.status.value, variables, writes, scope_id(execution_id, scope.path)),
    )


# The identity (execution, scope, step) is the primary key, so a decision carried out twice inserts once (I12, I13).
_OPENED = """id, execution_id, tenant_id, scope_id, step_id, scope_path, step_type, kind, position, reason, message,
    due_at, deadline_at, delay, verdict, created_at"""
INSERT_STEP_RUN = f"""
INSERT INTO executions_steprun (
    {_OPENED}, status, started_at, ended_at,
    fence, intent_fence, publications, effect, effective_class, lost_attempts, tries, note, actor)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
        0, 0, 0, 'none', '', 0, 0, '{{}}', '')
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 (constants of this code)


def insert_step_runs(execution: ExecutionRow, runs: Sequence[NewStepRun], *, now: datetime) -> None:
    rows: list[Sequence[Any]] = []
    for run in runs:
        is_final = run.status in ("completed", "failed")
        has_begun = is_final or run.status == "waiting"
        ended = (run.status, now if has_begun else None, now if is_final else None)
        rows.append((*_opened(execution, run, now), *ended))
    _insert(INSERT_STEP_RUN, rows)


def _opened(execution: ExecutionRow, run: NewStepRun, now: datetime) -> tuple[Any, ...]:
    """The values of ``_OPENED``."""
    return (
        step_run_id(execution.id, run.scope_path, run.step_id),
        execution.id,
        execution.tenant_id,
        scope_id(execution.id, run.scope_path),
        run.step_id,
        run.scope_path,
        run.step_type,
        run.kind,
        run.position,
        run.reason,
        brief(run.message),
        run.due_at,
        run.deadline_at,
        run.delay,
        None if run.verdict is None else write_json(run.verdict),
        now,
    )


# The same, and the claim of the new step run in one: what is due at once for a worker that carries on. Nothing is
# known of its calls yet (``needs``), so no breaker is over it. Under a switch or a cap it is left to the gates.
OPEN_AND_CLAIM = f"""
WITH s AS (
    SELECT %s::uuid AS id, %s::uuid AS execution_id, %s::uuid AS tenant_id, NULL::text[] AS needs
), gate AS (
    SELECT NOT {SWITCHED} AND NOT {CAPPED} AS is_open FROM s
), opened AS (
    INSERT INTO executions_steprun (
        {_OPENED}, status, started_at, fence, worker, lease_until,
        intent_fence, publications, effect, effective_class, lost_attempts, tries, note, actor)
    SELECT s.id, s.execution_id, s.tenant_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s,
           CASE WHEN is_open THEN 'running' ELSE 'pending' END, CASE WHEN is_open THEN clock_timestamp() END,
           CASE WHEN is_open THEN 1 ELSE 0 END, CASE WHEN is_open THEN %s::text END,
           CASE WHEN is_open THEN clock_timestamp() + %s END,
           0, 0, 'none', '', 0, 0, '{{}}', ''
      FROM s, gate
    ON CONFLICT (id) DO NOTHING
    RETURNING *
), attempt AS (
    INSERT INTO executions_attempt (step_run_id, number, worker, started_at, outcome, code, message, calls)
    SELECT o.id, o.fence, o.worker, clock_timestamp(), '', '', '', '[]' FROM opened o WHERE o.status = 'running'
)
SELECT {StepRunRow.COLUMNS} FROM opened s WHERE s.status = 'running'
"""  # noqa: S608 (constants of this code)


def open_and_claim(
    execution: ExecutionRow, run: NewStepRun, *, now: datetime, worker: str, lease: timedelta
) -> StepRunRow | None:
    """Open a step run that is due at once and claim it; None where it is left to the usual claim."""
    row = _one(OPEN_AND_CLAIM, (*_opened(execution, run, now), worker, lease))
    return StepRunRow.read(row) if row else None


# A turn may come after the end, for a late note or a review: why and when it ended stay as they are (I2).
UPDATE_EXECUTION = """
UPDATE executions_execution
   SET status = %s, reason = CASE WHEN ended_at IS NULL THEN %s ELSE reason END, message = %s, started_at = %s,
       ended_at = COALESCE(ended_at, %s), held_at = %s, stop_as = %s,
       stop_reason = %s, stop_requested_at = COALESCE(stop_requested_at, %s), last_seq = %s, step_runs_made = %s,
       failed_steps = %s, exception_handled = COALESCE(%s, exception_handled)
 WHERE id = %s
"""

# One statement for all events of a turn and the row they are numbered by; seq is unique in an execution (I23).
UPDATE_WITH_EVENTS = f"""
WITH told AS (
    INSERT INTO executions_event (execution_id, seq, type, at, step_run_id, data)
    SELECT %s, n.seq, n.type, %s, n.step_run, n.data
      FROM unnest(%s::bigint[], %s::text[], %s::uuid[], %s::jsonb[]) AS n(seq, type, step_run, data)
)
{UPDATE_EXECUTION}
"""  # noqa: S608 (constants of this code)


def update_execution(
    execution_id: UUID, at: datetime, values: Sequence[Any], events: Sequence[tuple[int, str, UUID | None, str]]
) -> None:
    """Write the row of a turn and its events: (seq, type, step run, data as JSON text)."""
    args = (*values, execution_id)
    if not events:
        _count(UPDATE_EXECUTION, args)
        return
    columns = [list(column) for column in zip(*events, strict=True)]
    _count(UPDATE_WITH_EVENTS, (execution_id, at, *columns, *args))


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


# What was named by a nudge and is started by nobody is published anew. In the order of ids, past what is locked: a row
# that somebody claims or moves at this moment needs it no more, and no two callers wait for one another.
UNPUBLISH = f"""
WITH named AS (
    SELECT s.id FROM executions_steprun s WHERE s.id = ANY(%s) AND {QUEUED_BY_KEY} AND s.published_at IS NOT NULL
     ORDER BY s.id FOR UPDATE SKIP LOCKED
)
UPDATE executions_steprun s
   SET published_at = NULL, publications = GREATEST(s.publications - 1, 0), goes_ahead = false, nudged_with = 1
  FROM named WHERE s.id = named.id
"""  # noqa: S608 (constants of this code)


def unpublish(step_runs: Sequence[UUID]) -> int:
    """Let step runs that were published and not claimed be published again at once; return how many are."""
    return _count(UNPUBLISH, (list(step_runs),))


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
            {
                "status": _told(step_type, status),
                "output": (payloads.unpack(execution_id, result) or {}).get("output"),
            },
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
        "SELECT 1 FROM executions_steprun WHERE id = %s AND fence = %s AND status || '' = 'running'", (step_run, fence)
    )
    return row is not None


# What was put ahead is urgent as long as its nudge is young; an old nudge may be lost, and nobody waits for that.
AHEAD = f"""
s.tenant_id <> %(tenant)s AND s.goes_ahead AND {QUEUED} AND s.published_at > clock_timestamp() - interval '3 s'
   AND s.due_at <= clock_timestamp() AND {CLAIMABLE}
"""

# Primary keys, and index step_run_ahead, which is empty but while a tenant that had little has come in.
END_HELD = f"""
WITH mine AS (
    SELECT m.id, m.fence FROM executions_steprun m
     WHERE m.id = %(step_run)s AND m.fence = %(fence)s AND m.status || '' = 'running'
), ended AS (
    UPDATE executions_attempt a
       SET ended_at = clock_timestamp(), outcome = %(outcome)s, code = %(code)s, message = %(message)s,
           calls = %(calls)s
      FROM mine WHERE a.step_run_id = mine.id AND a.number = mine.fence AND a.ended_at IS NULL
)
SELECT EXISTS (SELECT 1 FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id WHERE {AHEAD})
  FROM mine
"""  # noqa: S608 (constants of this code)

HAD_LESS = f"""
WITH shares AS (
    SELECT v.tenant_id, sum(v.had) / max(t.dispatch_weight) AS share
      FROM ({SERVED}) v JOIN accounts_tenant t ON t.id = v.tenant_id GROUP BY v.tenant_id
)
SELECT EXISTS (
    SELECT 1 FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
      JOIN shares theirs ON theirs.tenant_id = s.tenant_id
     WHERE {AHEAD} AND theirs.share < (SELECT share FROM shares WHERE tenant_id = %(tenant)s))
"""  # noqa: S608


def end_held_attempt(
    run: StepRunRow, *, outcome: str, code: str, message: str, calls: Sequence[Any]
) -> tuple[bool, bool]:
    """End the attempt of a fence that may write (I5); whether it may, and whether its worker may go on (ruling 31).

    It yields to a tenant that has had less and has due work, by the same measure as the dispatcher. The caller holds
    the execution's lock.
    """
    told = {
        "outcome": outcome,
        "code": storable(code)[:64],
        "message": brief(message),
        "calls": write_json(list(calls)),
    }
    row = _one(END_HELD, {"tenant": run.tenant_id, "step_run": run.id, "fence": run.fence, **told})
    if row is None:
        return False, False
    return True, not (row[0] and has_had_more(run.tenant_id))


def has_had_more(tenant_id: UUID) -> bool:
    """True while a tenant waits that has less running and published than this one, each by its weight."""
    row = _one(HAD_LESS, {"tenant": tenant_id})
    return row is not None and bool(row[0])


def since_first_intent(step_run: UUID) -> timedelta:
    row = _one("SELECT clock_timestamp() - first_intent_at FROM executions_steprun WHERE id = %s", (step_run,))
    found: timedelta | None = row[0] if row else None
    return found or timedelta(0)
