"""Claims: one worker takes a due step run and may act until its lease ends (S4)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from executions import gates, statements
from executions.facts import StoredFacts
from executions.rows import ExecutionRow, StepRunRow
from executions.turn import Turn, turn_of
from playbooks.cacao.types import Step, Workflow
from playbooks.selectors import workflow_by_id

#: for a step without a deadline; each call has a limit of its own
LONGEST: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Work:
    """A claimed step run and all that is needed to act on it."""

    execution: ExecutionRow
    run: StepRunRow
    workflow: Workflow
    facts: StoredFacts
    worker: str
    #: this machine's monotonic clock when ``execution.now`` was read, before the claim
    asked_at: float

    @property
    def step(self) -> Step:
        return self.workflow.steps[self.run.step_id]

    def time_left(self) -> timedelta:
        """How long until the step's deadline, which the sweep keeps; for the limit of a call."""
        if self.run.deadline_at is None:
            return LONGEST
        gone = timedelta(seconds=time.monotonic() - self.asked_at)
        return max(self.run.deadline_at - self.execution.now - gone, timedelta(milliseconds=1))


def claim_step(step_run_id: UUID, *, worker: str, in_doubt_since: float | None = None) -> Work | None:
    """Claim a due step run; None when somebody else has it, or it is not due, held, stopping or gated.

    ``in_doubt_since``: this machine's monotonic clock from before an earlier claim whose commit got no answer (6.8); if
    it took place, what it claimed is returned.
    """
    execution_id = statements.execution_of(step_run_id)
    if execution_id is None:
        return None
    with turn_of(execution_id) as turn:
        if turn is None:
            return None
        claimed = claim_in(turn, step_run_id, worker=worker)
        if claimed is None and in_doubt_since is not None:
            claimed = claimed_before(turn, worker=worker, asked_at=in_doubt_since)
        return claimed


def claim_in(turn: Turn, step_run_id: UUID, *, worker: str) -> Work | None:
    """Claim inside a turn, so that recording one step and claiming the next is one commit."""
    if not turn.may_claim:
        return None
    run = statements.claim(step_run_id, worker=worker, lease=settings.SALLYPORT_LEASE)
    run = run or gates.claim_gated(turn, step_run_id, worker=worker)
    return None if run is None else work_on(turn, run, worker=worker)


def work_on(turn: Turn, run: StepRunRow, *, worker: str, facts: StoredFacts | None = None) -> Work:
    """Tell of a claim; return the work. ``facts``: where they are known, the scopes are not read again."""
    turn.begin()
    turn.event("step.claimed", run.id, step=run.step_id, scope=run.scope_path, attempt=run.fence)
    return _work_of(turn, run, worker=worker, asked_at=turn.locked_at, facts=facts)


def claimed_before(turn: Turn, *, worker: str, asked_at: float) -> Work | None:
    """Return what this worker claimed here by a commit whose answer it did not get; None when it claimed nothing.

    ``asked_at``: the worker's monotonic clock from before that claim. A worker holds one step run at a time.
    """
    run = statements.held_by(turn.id, worker)
    return None if run is None else _work_of(turn, run, worker=worker, asked_at=asked_at)


def _work_of(turn: Turn, run: StepRunRow, *, worker: str, asked_at: float, facts: StoredFacts | None = None) -> Work:
    execution = replace(turn.row, status=turn.status)
    if facts is None:
        found = StoredFacts(execution)
        found.load_chain(run.scope_id)
    else:
        found = facts.in_turn(execution)
    return Work(turn.row, run, workflow_by_id(turn.row.version_id), found, worker, asked_at)
