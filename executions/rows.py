"""Rows of the per-step path as plain values, read by ``statements.py`` without the ORM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid5

from executions import payloads
from executions.engine.facts import ScopeFact, ScopeStatus
from executions.stored_json import read_json
from manual.policies import COVERS_CALLS

#: SQL: a switch, or a cap or a breaker of a connection, may be over what step run ``s`` calls; else nobody need ask
MAY_BE_GATED = (
    "(EXISTS (SELECT 1 FROM executions_switch w"
    " WHERE w.lifted_at IS NULL AND (w.tenant_id IS NULL OR w.tenant_id = s.tenant_id))"
    " OR EXISTS (SELECT 1 FROM executions_cap c WHERE c.tenant_id = s.tenant_id AND c.kind = 'connection')"
    " OR EXISTS (SELECT 1 FROM executions_breaker b"
    " WHERE b.tenant_id = s.tenant_id AND (b.state <> 'closed' OR b.failures > 0)))"
)


def scope_id(execution_id: UUID, path: str) -> UUID:
    """The id of a scope: the same branch of the same execution always has the same one."""
    return uuid5(execution_id, f"scope|{path}")


def step_run_id(execution_id: UUID, path: str, step: str) -> UUID:
    """The id of a step run, made from its identity (execution, scope, step); also the key of its calls."""
    return uuid5(execution_id, f"step|{path}|{step}")


@dataclass(frozen=True)
class ExecutionRow:
    """The locked row of an execution. ``now`` is the database's clock at the moment of the lock."""

    id: UUID
    tenant_id: UUID
    number: int
    version_id: UUID
    playbook_id: UUID
    dialect: str
    status: str
    held_at: datetime | None
    stop_as: str
    stop_reason: str
    message: str
    deadline_at: datetime | None
    inputs: dict[str, Any]
    options: dict[str, Any]
    parent_step_run_id: UUID | None
    depth: int
    last_seq: int
    step_runs_made: int
    failed_steps: int
    created_at: datetime
    started_at: datetime | None
    now: datetime

    COLUMNS = (
        "id, tenant_id, number, version_id, playbook_id, dialect, status, held_at, stop_as, stop_reason, message, "
        "deadline_at, inputs, options, parent_step_run_id, depth, last_seq, step_runs_made, failed_steps, "
        "created_at, started_at"
    )

    @classmethod
    def columns(cls, alias: str) -> str:
        return ", ".join(f"{alias}.{name}" for name in cls.COLUMNS.split(", "))

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        values = list(row)
        values[12], values[13] = payloads.unpack(values[0], values[12], depth=2), read_json(values[13])
        return cls(*values)

    @property
    def is_live(self) -> bool:
        return self.status in ("pending", "running", "paused")

    @property
    def script(self) -> dict[str, Any] | None:
        """What the fake connector plays instead of every step and person, where the deployment allows it."""
        found = self.options.get("script")
        return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class StepRunRow:
    """A step run as claimed."""

    id: UUID
    execution_id: UUID
    tenant_id: UUID
    scope_id: UUID
    step_id: str
    scope_path: str
    step_type: str
    kind: str
    position: int
    status: str
    fence: int
    intent_fence: int
    effect: str
    effective_class: str
    deadline_at: datetime | None
    lost_attempts: int
    tries: int
    class_valid_until: datetime | None
    note: dict[str, Any]
    may_need_approval: bool  # the tenant has policies for calls
    may_be_gated: bool  # see MAY_BE_GATED

    COLUMNS = (
        "s.id, s.execution_id, s.tenant_id, s.scope_id, s.step_id, s.scope_path, s.step_type, s.kind, s.position, "
        "s.status, s.fence, s.intent_fence, s.effect, s.effective_class, s.deadline_at, s.lost_attempts, s.tries, "
        f"s.class_valid_until, s.note, {COVERS_CALLS}, {MAY_BE_GATED}"
    )

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        values = list(row)
        values[18] = payloads.unpack(values[1], values[18], depth=2)
        return cls(*values)


@dataclass(frozen=True)
class NewStepRun:
    """A step run to be inserted."""

    step_id: str
    scope_path: str
    step_type: str
    kind: str
    position: int
    status: str
    reason: str = ""
    message: str = ""
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    delay: timedelta | None = None
    verdict: Mapping[str, Any] | None = None


def scope_fact(row: Sequence[Any]) -> ScopeFact:
    """Read (execution, path, parent path, opener_step, key, position, status, is_isolated, variables, writes)."""
    execution, path, parent, opener, key, position, status, is_isolated, variables, writes = row
    return ScopeFact(
        path=path,
        parent=parent,
        opener=opener,
        key=key,
        position=position,
        status=ScopeStatus(status),
        is_isolated=is_isolated,
        variables=payloads.unpack(execution, variables),
        writes=payloads.unpack(execution, writes),
    )
