"""The SQL of a start: an execution, its outermost scope, its first step run and their event, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from executions.engine.facts import ROOT
from executions.rows import scope_id, step_run_id
from executions.stored_json import write_json

if TYPE_CHECKING:
    from executions.models import Execution

# Zero rows: an execution with this start key, or of this parent step run, is there already (I16).
INSERT: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now), made AS (
    INSERT INTO executions_execution (
        id, tenant_id, version_id, playbook_id, dialect, start_key, start_digest, inputs, options, actor,
        parent_step_run_id, again_of_id, depth, deadline_at, created_at,
        status, reason, message, stop_as, stop_reason, last_seq, step_runs_made, failed_steps)
    SELECT %(id)s, %(tenant)s, %(version)s, %(playbook)s, %(dialect)s, %(start_key)s, %(start_digest)s,
           %(inputs)s::jsonb, %(options)s::jsonb, %(actor)s::jsonb, %(parent)s, %(again_of)s, %(depth)s,
           c.now + %(deadline)s::interval, c.now, 'pending', '', '', '', '', 1, 1, 0
      FROM clock c
    ON CONFLICT DO NOTHING
    RETURNING id, tenant_id, number, created_at AS now, deadline_at
), scope AS (
    INSERT INTO executions_scope (id, execution_id, parent_id, path, opener_step, key, position, status, is_isolated,
                                  variables, writes)
    SELECT %(scope)s, m.id, NULL, %(path)s, '', '', 0, 'open', false, %(variables)s::jsonb, '{}' FROM made m
), first AS (
    INSERT INTO executions_steprun (
        id, execution_id, tenant_id, scope_id, step_id, scope_path, step_type, kind, position, reason, message,
        due_at, deadline_at, delay, created_at, status, fence, intent_fence, publications, effect, effective_class,
        lost_attempts, tries, note, actor)
    SELECT %(run)s, m.id, m.tenant_id, %(scope)s, %(step)s, %(path)s, %(type)s, %(kind)s, 1, '', '',
           m.now + %(wait)s::interval, m.now + %(wait)s::interval + %(step_deadline)s::interval, %(delay)s::interval,
           m.now, 'pending', 0, 0, 0, 'none', '', 0, 0, '{}', ''
      FROM made m
), told AS (
    INSERT INTO executions_event (execution_id, seq, type, at, step_run_id, data)
    SELECT m.id, 1, 'step.pending', m.now, %(run)s, %(data)s::jsonb FROM made m
)
SELECT m.number, m.now, m.deadline_at,
       EXISTS (SELECT 1 FROM executions_webhooktarget o WHERE o.tenant_id = m.tenant_id AND o.is_enabled)
  FROM made m
"""


@dataclass(frozen=True)
class First:
    """The step run that a start opens. ``wait``: until it is due; ``delay``: the step's own, for the record."""

    step: str
    type: str
    kind: str
    wait: timedelta
    delay: timedelta
    deadline: timedelta | None


@dataclass(frozen=True)
class Stored:
    number: int
    now: datetime
    deadline_at: datetime
    has_webhooks: bool


def insert(execution: Execution, first: First, *, inputs: str, variables: str, deadline: timedelta) -> Stored | None:
    """Store a start; ``inputs`` and ``variables`` as JSON. None where somebody with this start key was first."""
    args: dict[str, Any] = {
        "id": execution.id,
        "tenant": execution.tenant_id,
        "version": execution.version_id,
        "playbook": execution.playbook_id,
        "dialect": execution.dialect,
        "start_key": execution.start_key,
        "start_digest": execution.start_digest,
        "inputs": inputs,
        "options": write_json(execution.options),
        "actor": write_json(execution.actor),
        "parent": execution.parent_step_run_id,
        "again_of": execution.again_of_id,
        "depth": execution.depth,
        "deadline": deadline,
        "scope": scope_id(execution.id, ROOT),
        "path": ROOT,
        "variables": variables,
        "run": step_run_id(execution.id, ROOT, first.step),
        "step": first.step,
        "type": first.type,
        "kind": first.kind,
        "wait": first.wait,
        "delay": first.delay or None,
        "step_deadline": first.deadline,
        "data": write_json({"step": first.step, "scope": ROOT}),
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT, args)
        row = cursor.fetchone()
    return Stored(*row) if row else None
