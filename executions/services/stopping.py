"""Stops what is live: a whole execution, or the branches of an opener whose time is over."""

from __future__ import annotations

from collections.abc import Sequence

from executions import statements
from executions.models import StepRun
from executions.rows import scope_id
from executions.services.reviewing import open_review
from executions.turn import Turn
from manual import services as manual

#: how long a running attempt may take to report after a stop was asked for
GRACE_SECONDS = 30


def stop_step_runs(turn: Turn, *, scopes: Sequence[str] | None) -> None:
    """Cancel what is live below ``scopes`` (None: everywhere).

    In a stop of the whole execution (None) a running attempt keeps its grace; in stopped branches it loses its
    fence at once, because the flow goes on without it.
    """
    runs = StepRun.objects.filter(execution_id=turn.id)
    if scopes is None:
        runs = runs.filter(status__in=("pending", "retrying", "waiting", "uncertain"))
    else:
        below = statements.scopes_below([scope_id(turn.id, path) for path in scopes])
        runs = runs.filter(scope_id__in=below, status__in=("pending", "retrying", "waiting", "uncertain", "running"))
        statements.stop_scopes(below)
    for run in runs.order_by("position"):
        cancel_step_run(turn, run, reason="cancelled")


def cancel_step_run(turn: Turn, run: StepRun, *, reason: str) -> None:
    """S15, or S16 for a running one; an effect that nobody knows of opens a review (ruling 30)."""
    is_unknown = run.effect == "intended" and run.effective_class in ("unsafe", "probe")
    moved = statements.move_step_run(
        run.id,
        old=(run.status,),
        new="cancelled",
        reason=reason,
        raise_fence=run.status == "running",
        effect="unknown" if is_unknown else None,
    )
    if not moved:
        return
    turn.event("step.cancelled", run.id, step=run.step_id, scope=run.scope_path)
    if run.status == "running":
        statements.end_attempt(run.id, run.fence, outcome="cancelled", message="the step was stopped")
    if is_unknown:
        open_review(turn, run.id, why="The step was stopped while its call was under way.")
    manual.cancel_for_step_runs(step_run_ids=[run.id])


def finish_stop(turn: Turn) -> None:
    """E6 and E7: the stop takes place once no step run is live."""
    if turn.stop_as and turn.is_live and not statements.has_live_step_runs(turn.id):
        turn.end(turn.stop_as, turn.stop_reason, turn.message)
