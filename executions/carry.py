"""The SQL that records a step and carries on, in one statement; who may use it is said in ``services/carrying.py``.

Its snapshot is older than its locks, so a condition counts only if it is about a row that the statement locks itself
(PostgreSQL looks at such rows once more), or if being late by one statement is safe. Everything that is written hangs
on ``at``, which has one row or none: all of it happens, or nothing does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.db import connection

from executions.engine.facts import ScopeFact
from executions.rows import MAY_BE_GATED, ExecutionRow, StepRunRow, scope_fact
from manual.policies import COVERS_CALLS

OPENED, TAKEN, ENDED = "opened", "taken", "ended"

_NO_GATE: Final = """
       AND NOT EXISTS (SELECT 1 FROM executions_switch w
                        WHERE w.lifted_at IS NULL AND (w.tenant_id IS NULL OR w.tenant_id = %(tenant)s))
       AND NOT EXISTS (SELECT 1 FROM executions_cap c WHERE c.tenant_id = %(tenant)s AND c.kind <> 'connection')"""

# Primary keys. A step run that goes ahead, a switch or a cap leaves the decision to the usual way.
_HELD: Final = """
WITH held AS MATERIALIZED (
    SELECT e.id AS execution_id, e.tenant_id, e.last_seq, e.step_runs_made, s.id, s.fence
      FROM executions_execution e CROSS JOIN executions_steprun s
     WHERE e.id = %(execution)s AND e.status || '' = 'running' AND e.held_at IS NULL AND e.stop_as = ''
       AND s.id = %(run)s AND s.fence = %(fence)s AND s.status || '' = 'running'
       AND NOT EXISTS (SELECT 1 FROM executions_steprun a
                        WHERE a.status IN ('pending', 'retrying') AND a.published_at IS NOT NULL AND a.goes_ahead
                          AND a.published_at > clock_timestamp() - interval '3 s' AND a.tenant_id <> %(tenant)s){gates}
       AND e.step_runs_made + %(made)s <= %(most)s{only}
       FOR UPDATE OF e, s
)"""
# Nobody is told of the end but by its event.
_ONLY_AN_END: Final = """
       AND e.depth = 0
       AND NOT EXISTS (SELECT 1 FROM executions_webhooktarget o WHERE o.tenant_id = e.tenant_id AND o.is_enabled)"""

# A due step run of a sibling branch: the one that this worker has the nudge of (primary key), else one from somewhere
# among them on (index step_run_order), so that workers that end branches at once do not all look at the same. What
# another one holds at this moment is passed over, and so is what was claimed since the snapshot: it is looked at again.
_TAKEN: Final = """, taken AS (
    SELECT n.id, n.fence
      FROM held CROSS JOIN executions_steprun n
     WHERE {which} AND n.status || '' IN ('pending', 'retrying')
       AND n.kind = 'act' AND n.due_at <= clock_timestamp() AND n.needs IS NULL
       AND EXISTS (SELECT 1 FROM executions_scope b
                    WHERE b.id = n.scope_id AND b.parent_id = %(parent)s AND b.opener_step = %(opener)s)
     ORDER BY n.execution_id, n.position LIMIT 1 FOR UPDATE OF n SKIP LOCKED
)"""
_NAMED: Final = "n.id = %(beside)s"
_ANY: Final = "n.execution_id = held.execution_id AND n.position >= %(since)s"

_AT: Final = """, at AS MATERIALIZED (SELECT held.*, {columns}clock_timestamp() AS now FROM held{source})"""

_RECORDED: Final = """, ended AS (
    UPDATE executions_attempt a
       SET ended_at = t.now, outcome = 'completed', code = %(code)s, message = %(message)s, calls = %(calls)s::jsonb
      FROM at t WHERE a.step_run_id = t.id AND a.number = t.fence AND a.ended_at IS NULL
), recorded AS (
    UPDATE executions_steprun s
       SET status = 'completed', reason = '', message = '', effect = %(effect)s, result = %(result)s::jsonb,
           tries = s.tries + %(tries)s, due_at = NULL, lease_until = NULL, worker = NULL, quarantine_until = NULL,
           note = s.note || %(note)s::jsonb, ended_at = t.now,
           lost_attempts = CASE WHEN %(tries)s > 0 THEN 0 ELSE s.lost_attempts END
      FROM at t WHERE s.id = t.id
)"""

_SCOPES: Final = """, scopes AS (
    UPDATE executions_scope c SET status = n.status, variables = n.variables, writes = n.writes
      FROM at t CROSS JOIN unnest(%(scope_ids)s::uuid[], %(scope_statuses)s::text[], %(scope_variables)s::jsonb[],
                                  %(scope_writes)s::jsonb[]) AS n(id, status, variables, writes)
     WHERE c.id = n.id
)"""

_COLUMNS: Final = """id, execution_id, tenant_id, scope_id, step_id, scope_path, step_type, kind, position,
        reason, message, due_at, deadline_at, verdict, created_at, status, started_at, ended_at, fence, worker,
        lease_until, intent_fence, publications, effect, effective_class, lost_attempts, tries, note, actor"""
_UNUSED: Final = "0, 0, 'none', '', 0, 0, '{}'::jsonb, ''"

# Control steps that are over as soon as they are reached (S1b).
_PASSED: Final = f""", passed AS (
    INSERT INTO executions_steprun (
        {_COLUMNS})
    SELECT n.id, t.execution_id, t.tenant_id, n.scope_id, n.step_id, n.scope_path, n.step_type, 'control',
           t.step_runs_made + n.number, '', '', NULL, NULL, n.verdict, t.now, 'completed', t.now, t.now, 0, NULL, NULL,
           {_UNUSED}
      FROM at t CROSS JOIN unnest(%(passed_ids)s::uuid[], %(passed_scopes)s::uuid[], %(passed_steps)s::text[],
                                  %(passed_paths)s::text[], %(passed_types)s::text[], %(passed_verdicts)s::jsonb[])
           WITH ORDINALITY AS n(id, scope_id, step_id, scope_path, step_type, verdict, number)
)"""  # noqa: S608 (constants of this code)

_OPENED: Final = f""", opened AS (
    INSERT INTO executions_steprun (
        {_COLUMNS})
    SELECT %(next)s, t.execution_id, t.tenant_id, %(next_scope)s, %(next_step)s, %(next_path)s, %(next_type)s,
           %(next_kind)s, t.step_runs_made + %(made)s, '', '', t.now, t.now + %(next_deadline)s::interval, NULL, t.now,
           'running', t.now, NULL, 1, %(worker)s::text, t.now + %(lease)s::interval, {_UNUSED}
      FROM at t
), attempt AS (
    INSERT INTO executions_attempt (step_run_id, number, worker, started_at, outcome, code, message, calls)
    SELECT %(next)s, 1, %(worker)s::text, t.now, '', '', '', '[]' FROM at t
)"""  # noqa: S608

_CLAIMED: Final = """, claimed AS (
    UPDATE executions_steprun n
       SET status = 'running', fence = n.fence + 1, worker = %(worker)s::text,
           lease_until = t.now + %(lease)s::interval, started_at = COALESCE(n.started_at, t.now), published_at = NULL,
           publications = 0
      FROM at t WHERE n.id = t.taken_id
    RETURNING n.*
), attempt AS (
    INSERT INTO executions_attempt (step_run_id, number, worker, started_at, outcome, code, message, calls)
    SELECT c.id, c.fence, c.worker, t.now, '', '', '', '[]' FROM claimed c CROSS JOIN at t
)"""

_TOLD: Final = """, told AS (
    INSERT INTO executions_event (execution_id, seq, type, at, step_run_id, data)
    SELECT t.execution_id, t.last_seq + n.number, n.event ->> 0, t.now, (n.event ->> 1)::uuid, n.event -> 2
      FROM at t CROSS JOIN jsonb_array_elements(%(events)s::jsonb) WITH ORDINALITY AS n(event, number)
)"""
# The step run that is taken is told of by its row.
_TOLD_OF_TAKEN: Final = """, told_of_taken AS (
    INSERT INTO executions_event (execution_id, seq, type, at, step_run_id, data)
    SELECT t.execution_id, t.last_seq + %(told)s + 1, 'step.claimed', t.now, c.id,
           jsonb_build_object('step', c.step_id, 'scope', c.scope_path, 'attempt', c.fence)
      FROM at t CROSS JOIN claimed c
)"""

_WENT_ON: Final = """, went AS (
    UPDATE executions_execution e
       SET last_seq = t.last_seq + %(seqs)s, step_runs_made = t.step_runs_made + %(made)s{ended}
      FROM at t WHERE e.id = t.execution_id
)"""
_IS_OVER: Final = ", status = 'completed', reason = '', ended_at = t.now"

_FOLLOWING: Final = {
    OPENED: f"SELECT s.now, s.last_seq, s.step_runs_made, {COVERS_CALLS}, {MAY_BE_GATED} FROM at s",  # noqa: S608
    TAKEN: f"""
SELECT t.now, t.last_seq, t.step_runs_made, b.execution_id, b.path, %(parent_path)s::text, b.opener_step, b.key,
       b.position, b.status, b.is_isolated, b.variables, b.writes, {StepRunRow.COLUMNS}
  FROM at t CROSS JOIN claimed s JOIN executions_scope b ON b.id = s.scope_id""",  # noqa: S608
    ENDED: "SELECT now, last_seq, step_runs_made FROM at",
}


@cache
def _statement(follows: str, *, passes: bool, changes: bool, named: bool) -> str:
    """``follows``: OPENED, TAKEN or ENDED. ``passes``: control steps on the way. ``changes``: of scopes.

    ``named``: of the sibling that is taken, by the nudge that this worker has.
    """
    is_taken = follows == TAKEN
    source = {"columns": "taken.id AS taken_id, ", "source": " CROSS JOIN taken"} if is_taken else {}
    parts = [
        _HELD.format(gates=_NO_GATE, only=_ONLY_AN_END if follows == ENDED else ""),
        _TAKEN.format(which=_NAMED if named else _ANY) if is_taken else "",
        _AT.format(**{"columns": "", "source": ""} | source),
        _RECORDED,
        _SCOPES if changes else "",
        _PASSED if passes else "",
        {OPENED: _OPENED, TAKEN: _CLAIMED, ENDED: ""}[follows],
        _TOLD,
        _TOLD_OF_TAKEN if is_taken else "",
        _WENT_ON.format(ended=_IS_OVER if follows == ENDED else ""),
        "\n",
        _FOLLOWING[follows],
    ]
    return "".join(parts)


# Primary keys; read without a lock, to see whether a claim is a usual one.
LOOK = f"""
SELECT s.status || '' IN ('pending', 'retrying') AND s.due_at <= clock_timestamp(), s.needs IS NULL,
       c.execution_id, c.path, p.path, c.opener_step, c.key, c.position, c.status, c.is_isolated, c.variables, c.writes,
       {StepRunRow.COLUMNS}, {ExecutionRow.columns("e")}, clock_timestamp()
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
  JOIN executions_scope c ON c.id = s.scope_id LEFT JOIN executions_scope p ON p.id = c.parent_id
 WHERE s.id = %s
"""  # noqa: S608 (constants of this code)

# Primary keys. Claims what was looked at, if it is as it was (I4, I17).
CLAIM = f"""
WITH held AS MATERIALIZED (
    SELECT e.id AS execution_id, e.tenant_id, e.last_seq, e.step_runs_made, s.id AS taken_id
      FROM executions_execution e CROSS JOIN executions_steprun s
     WHERE e.id = %(execution)s AND e.status || '' = %(status)s AND e.held_at IS NULL AND e.stop_as = ''
       AND s.id = %(run)s AND s.fence = %(fence)s AND s.status || '' IN ('pending', 'retrying')
       AND s.due_at <= clock_timestamp() AND s.needs IS NULL{_NO_GATE}
       FOR UPDATE OF e, s
){_AT.format(columns="", source="")}{_CLAIMED}{_TOLD}, went AS (
    UPDATE executions_execution e
       SET last_seq = t.last_seq + %(seqs)s, status = 'running', started_at = COALESCE(e.started_at, t.now)
      FROM at t WHERE e.id = t.execution_id
)
SELECT now, last_seq, step_runs_made FROM at
"""  # noqa: S608


def claim(args: Mapping[str, Any]) -> Sequence[Any] | None:
    """Claim a step run; None where that is not for here."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, args)
        row: Sequence[Any] | None = cursor.fetchone()
        return row


@dataclass(frozen=True)
class Seen:
    """A step run before its claim. ``is_plain``: nothing is known yet of what its calls go through."""

    is_due: bool
    is_plain: bool
    scope: ScopeFact
    run: StepRunRow
    execution: ExecutionRow


def look(step_run: UUID) -> Seen | None:
    with connection.cursor() as cursor:
        cursor.execute(LOOK, (step_run,))
        row = cursor.fetchone()
    if row is None:
        return None
    is_due, is_plain, *rest = row
    width = len(fields(StepRunRow))
    scope, run, execution = rest[:10], rest[10 : 10 + width], rest[10 + width :]
    return Seen(is_due, is_plain, scope_fact(scope), StepRunRow.read(run), ExecutionRow.read(execution))


def record(follows: str, args: Mapping[str, Any], *, passes: bool, changes: bool, named: bool) -> Sequence[Any] | None:
    """Carry the statement out; None where nothing was written. Raises IntegrityError where what opens is there."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(follows, passes=passes, changes=changes, named=named), args)
        row: Sequence[Any] | None = cursor.fetchone()
        return row
