"""Resolves a review of an uncertain step run by a person's word (S12)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.actors import Actor
from core.errors import Conflict, Invalid
from executions import statements
from executions.engine import decide
from executions.engine.decisions import Result
from executions.engine.statuses import StepStatus
from executions.facts import StoredFacts
from executions.models import Review, StepRun
from executions.rules import rules_of
from executions.services.applying import carry_out
from executions.services.recording import go_on
from executions.services.stopping import finish_stop
from executions.turn import Turn, turn_of
from playbooks.selectors import workflow_by_id

HAPPENED, AGAIN, GIVE_UP = "happened", "again", "give_up"


class ReviewResolved(Conflict):
    code = "review_resolved"


class Quarantined(Conflict):
    """A worker that was frozen may still wake up and act; trying again has to wait."""

    code = "quarantined"


def resolve_review(
    *, review: Review, resolution: str, reason: str, actor: Actor, now: datetime, output: Any = None
) -> Review:
    """Resolve a review: it *happened* (``output`` as typed in), try *again*, or *give_up*.

    Raises Invalid for another word, ReviewResolved for whoever comes second, Quarantined for *again* too early.
    """
    if resolution not in (HAPPENED, AGAIN, GIVE_UP):
        raise Invalid(f"A review is resolved as {HAPPENED}, {AGAIN} or {GIVE_UP}, not {resolution!r}.")
    with turn_of(review.execution_id) as turn:
        assert turn is not None
        run = StepRun.objects.get(pk=review.step_run_id)
        if resolution == AGAIN and run.quarantine_until and run.quarantine_until > turn.now:
            raise Quarantined(f"Trying again is possible from {run.quarantine_until:%Y-%m-%dT%H:%M:%SZ} on.")
        first = Review.objects.filter(pk=review.pk, status="open").update(
            status="resolved", resolution=resolution, reason=reason, resolved_at=turn.now, resolved_by=actor.name
        )
        if not first:
            raise ReviewResolved("This review was resolved already.")
        if run.status == "uncertain":
            _move(turn, run, resolution, reason=reason, actor=actor, output=output)
    review.refresh_from_db()
    return review


def _move(turn: Turn, run: StepRun, resolution: str, *, reason: str, actor: Actor, output: Any) -> None:
    if resolution == AGAIN:
        statements.move_step_run(run.pk, old=("uncertain",), new="pending", due_at=turn.now, effect="none")
        turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, by=actor.name)
        turn.wakes_dispatcher = True
        turn.rest()
        return
    result = Result(StepStatus.COMPLETED)
    if resolution == GIVE_UP:
        result = Result(StepStatus.FAILED, "command_failed", reason)
        turn.failed_steps += 1
    statements.move_step_run(
        run.pk,
        old=("uncertain",),
        new=result.status.value,
        reason=result.reason,
        message=result.message,
        result={"output": output} if resolution == HAPPENED else None,
        actor=actor.name,
        effect="applied" if resolution == HAPPENED else None,
    )
    turn.event(f"step.{result.status.value}", run.pk, step=run.step_id, scope=run.scope_path, by=actor.name)
    if turn.stop_as:
        finish_stop(turn)
        return
    workflow = workflow_by_id(turn.row.version_id)
    decisions = decide.after(
        workflow, StoredFacts(turn.row), rules_of(turn.row),
        step=run.step_id, scope=run.scope_path, result=result, made=turn.step_runs_made,
    )  # fmt: skip
    go_on(turn, carry_out(turn, workflow, decisions), worker=None)
