"""Stops what is live: a whole execution, or the branches of an opener whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from executions import statements
from executions.engine.decisions import Kind
from executions.models import LIVE_EXECUTION, Execution, StepRun
from executions.rows import scope_id
from executions.services.reviewing import open_review
from executions.turn import Turn, turn_of
from manual import services as manual


def stop_execution(turn: Turn, *, as_: str, reason: str, message: str) -> None:
    """Ask for a stop and let it take place as far as nothing runs; a running attempt gets its grace."""
    turn.ask_to_stop(as_, reason, message)
    stop_step_runs(turn, scopes=None)
    finish_stop(turn)


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
    is_unknown = run.effect == "intended"
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
        open_review(turn, run.id, why="The step was stopped while nobody knew whether its call had its effect.")
    manual.cancel_for_step_runs(step_run_ids=[run.id])
    if run.kind == Kind.CHILD:
        stop_child(run.id)


def stop_child(step_run_id: UUID) -> None:
    """Stop the execution that a step run started and no longer waits for (EXECUTION-SEMANTICS 9).

    The caller holds the parent's lock: parents are locked before children.
    """
    live = Execution.objects.filter(parent_step_run_id=step_run_id, status__in=LIVE_EXECUTION)
    child = live.values_list("pk", flat=True).first()
    if child is None:
        return
    with turn_of(child) as turn:
        if turn is not None and turn.is_live and not turn.stop_as:
            stop_execution(turn, as_="cancelled", reason="cancelled", message="the step that started it was stopped")


def finish_stop(turn: Turn) -> None:
    """E6 and E7: the stop takes place once no step run is live."""
    if turn.stop_as and turn.is_live and not statements.has_live_step_runs(turn.id):
        turn.end(turn.stop_as, turn.stop_reason, turn.message)
