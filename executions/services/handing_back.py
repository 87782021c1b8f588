"""Gives back a claim whose holder sent nothing: the lease need not run out first (S22, S16)."""

from __future__ import annotations

from executions import statements
from executions.models import StepRun
from executions.performed import Gated
from executions.services.claiming import Work
from executions.services.in_doubt import until_committed
from executions.services.stopping import cancel_step_run, finish_stop
from executions.turn import turn_of


def hand_back(work: Work, gate: Gated | None = None) -> None:
    """Return the step run to pending, or end it where its execution is stopping. Nothing was sent for this fence.

    ``gate``: what held it back. What its calls need is kept, so that it is not claimed again before the gate opens.
    """
    until_committed(work, lambda _: _hand_back(work, gate))


def _hand_back(work: Work, gate: Gated | None) -> None:
    with turn_of(work.run.execution_id) as turn:
        if turn is None or not statements.holds_fence(work.run.id, work.run.fence):
            return
        why = f": {gate}" if gate else ""
        statements.end_attempt(work.run.id, work.run.fence, outcome="abandoned", message=f"nothing was sent{why}")
        # Only an earlier fence may have had an effect.
        status, reason = _state(gate)
        due_at = (gate.due_at if gate else None) or turn.now
        statements.write_outcome(
            work.run, status=status, reason=reason, effect=work.run.effect, counts=False, due_at=due_at
        )
        if gate is not None:
            statements.keep_needs(work.run.id, gate.needs)
        if turn.stop_as:
            cancel_step_run(turn, StepRun.objects.get(pk=work.run.id), reason="cancelled")
            finish_stop(turn)
            return
        told = {"reason": reason} if reason else {}
        turn.event(f"step.{status}", work.run.id, step=work.run.step_id, scope=work.run.scope_path, **told)
        turn.wakes_dispatcher = True


def _state(gate: Gated | None) -> tuple[str, str]:
    """A breaker says when to come again; a switch or a cap does not know."""
    if gate is None:
        return "pending", ""
    return ("retrying" if gate.due_at else "pending"), gate.why
