"""Gives back a claim whose holder sent nothing: the lease need not run out first (S22, S16)."""

from __future__ import annotations

from executions import statements
from executions.models import StepRun
from executions.services.claiming import Work
from executions.services.stopping import cancel_step_run, finish_stop
from executions.turn import turn_of


def hand_back(work: Work) -> None:
    """Return the step run to pending, or end it where its execution is stopping. Nothing was sent for this fence."""
    with turn_of(work.run.execution_id) as turn:
        if turn is None or not statements.holds_fence(work.run.id, work.run.fence):
            return
        statements.end_attempt(work.run.id, work.run.fence, outcome="abandoned", message="nothing was sent")
        if turn.stop_as:
            run = StepRun.objects.get(pk=work.run.id)
            run.effect = work.run.effect  # this fence sent nothing; an earlier one may have
            cancel_step_run(turn, run, reason="cancelled")
            finish_stop(turn)
            return
        statements.write_outcome(work.run, status="pending", effect=work.run.effect, counts=False, due_at=turn.now)
        turn.event("step.pending", work.run.id, step=work.run.step_id, scope=work.run.scope_path)
        turn.wakes_dispatcher = True
