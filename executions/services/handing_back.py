"""Gives back a claim whose holder sent nothing: the lease need not run out first (S22, S16)."""

from __future__ import annotations

from executions import statements
from executions.models import StepRun
from executions.services.claiming import Work
from executions.services.in_doubt import until_committed
from executions.services.stopping import cancel_step_run, finish_stop
from executions.turn import turn_of


def hand_back(work: Work) -> None:
    """Return the step run to pending, or end it where its execution is stopping. Nothing was sent for this fence."""
    until_committed(work, lambda _: _hand_back(work))


def _hand_back(work: Work) -> None:
    with turn_of(work.run.execution_id) as turn:
        if turn is None or not statements.holds_fence(work.run.id, work.run.fence):
            return
        statements.end_attempt(work.run.id, work.run.fence, outcome="abandoned", message="nothing was sent")
        # Only an earlier fence may have had an effect.
        statements.write_outcome(work.run, status="pending", effect=work.run.effect, counts=False, due_at=turn.now)
        if turn.stop_as:
            cancel_step_run(turn, StepRun.objects.get(pk=work.run.id), reason="cancelled")
            finish_stop(turn)
            return
        turn.event("step.pending", work.run.id, step=work.run.step_id, scope=work.run.scope_path)
        turn.wakes_dispatcher = True
