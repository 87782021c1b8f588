"""Resolves a review of an uncertain step run by a person's word (S12)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.base import Outcome, OutcomeKind
from core.actors import Actor
from core.errors import Conflict, Invalid
from executions import deadlines, phases, statements
from executions.engine import decide
from executions.engine.apart import Damaged
from executions.engine.decisions import Kind, Result
from executions.engine.outputs import OutputInvalid
from executions.engine.statuses import StepStatus
from executions.facts import StoredFacts
from executions.models import Review, StepRun
from executions.payloads import TooLarge
from executions.rules import rules_of
from executions.services.answers import answers_so_far
from executions.services.applying import carry_out
from executions.services.asking_again import ROUND
from executions.services.outputs import written_by
from executions.services.recording import go_on
from executions.services.stopping import finish_stop
from executions.turn import Turn, turn_of
from playbooks.cacao.types import Step, Workflow
from playbooks.selectors import workflow_by_id

HAPPENED, AGAIN, GIVE_UP = "happened", "again", "give_up"


class ReviewResolved(Conflict):
    code = "review_resolved"


class Quarantined(Conflict):
    """A worker that was frozen may still wake up and act; trying again has to wait."""

    code = "quarantined"


class BeingAsked(Conflict):
    """The far side is being asked once more; what it says comes first."""

    code = "being_asked"


class StepEnded(Conflict):
    """The step has ended otherwise (stopped, timed out), so it cannot be tried again."""

    code = "step_ended"


class OutputRefused(Invalid):
    """The output that was typed in does not fit the step's variables. The review stays open."""

    code = "output_invalid"


def resolve_review(
    *,
    review: Review,
    resolution: str,
    reason: str,
    actor: Actor,
    now: datetime,
    output: Any = None,
) -> Review:
    """Resolve a review: it *happened* (``output`` as typed in), try *again*, or *give_up*.

    Raises Invalid for another word, ReviewResolved for whoever comes second, Quarantined for *again* too early,
    StepEnded for *again* too late, BeingAsked while the far side is asked once more, OutputRefused.
    """
    if resolution not in (HAPPENED, AGAIN, GIVE_UP):
        raise Invalid(f"A review is resolved as {HAPPENED}, {AGAIN} or {GIVE_UP}, not {resolution!r}.")
    with turn_of(review.execution_id) as turn:
        assert turn is not None
        run = StepRun.objects.get(pk=review.step_run_id)
        if run.note.get(ROUND) and run.status in ("pending", "running", "retrying"):
            raise BeingAsked("The far side is being asked right now whether it happened. Look again in a minute.")
        if resolution == AGAIN:
            _check_again(run, now=turn.now)
        first = Review.objects.filter(pk=review.pk, status="open").update(
            status="resolved", resolution=resolution, reason=reason, resolved_at=turn.now, resolved_by=actor.name
        )
        if not first:
            raise ReviewResolved("This review was resolved already.")
        try:
            if run.status == "uncertain":
                _move(turn, run, resolution, reason=reason, actor=actor, output=output)
        except TooLarge as error:
            raise OutputRefused(str(error)) from error
    review.refresh_from_db()
    return review


def _check_again(run: StepRun, *, now: datetime) -> None:
    if run.status != "uncertain":
        raise StepEnded(f"The step cannot be tried again: it is {run.status}.")
    if run.quarantine_until and run.quarantine_until > now:
        raise Quarantined(f"Trying again is possible from {run.quarantine_until:%Y-%m-%dT%H:%M:%SZ} on.")


def _move(turn: Turn, run: StepRun, resolution: str, *, reason: str, actor: Actor, output: Any) -> None:
    workflow = workflow_by_id(turn.row.version_id)
    step = workflow.steps[run.step_id]
    if resolution == AGAIN:
        _act_again(turn, step, run, actor=actor, effect="none")
    elif resolution == GIVE_UP:
        _end(turn, workflow, run, Result(StepStatus.FAILED, "command_failed", reason), actor=actor)
    elif not phases.is_last(step, run.note):
        done = {phases.DONE: phases.phase(step, run.note).stop}
        _act_again(turn, step, run, actor=actor, effect="applied", note=done)
    else:
        values = _values(workflow, turn, step, run, output)
        _end(turn, workflow, run, Result(StepStatus.COMPLETED, values=values), actor=actor, output=output)


def _values(workflow: Workflow, turn: Turn, step: Step, run: StepRun, output: Any) -> Mapping[str, Any]:
    outcome = Outcome(OutcomeKind.COMPLETED, output=output)
    try:
        written = written_by(workflow, StoredFacts(turn.row), step, run.scope_path, outcome)
    except (OutputInvalid, Damaged) as error:
        raise OutputRefused(str(error)) from error
    return {**answers_so_far(run), **written.values}


def _act_again(
    turn: Turn, step: Step, run: StepRun, *, actor: Actor, effect: str, note: dict[str, Any] | None = None
) -> None:
    """The step run acts once more, with as much time and as many tries as at first."""
    statements.move_step_run(run.pk, old=("uncertain",), new="pending", due_at=turn.now, effect=effect, note=note)
    deadline = deadlines.of_step_run(step, Kind(run.kind), turn.now)
    StepRun.objects.filter(pk=run.pk).update(deadline_at=deadline, lost_attempts=0, tries=0)
    turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, by=actor.name)
    turn.wakes_dispatcher = True
    turn.rest()


def _end(turn: Turn, workflow: Workflow, run: StepRun, result: Result, *, actor: Actor, output: Any = None) -> None:
    turn.failed_steps += 0 if result.is_success else 1
    statements.move_step_run(
        run.pk,
        old=("uncertain",),
        new=result.status.value,
        reason=result.reason,
        message=result.message,
        result={"output": output} if result.is_success else None,
        note={"values": dict(result.values)} if result.is_success else None,
        actor=actor.name,
        effect="applied" if result.is_success else None,
    )
    data = {"step": run.step_id, "scope": run.scope_path, "by": actor.name}
    if result.reason:
        data |= {"reason": result.reason, "message": result.message}
    turn.event(f"step.{result.status.value}", run.pk, **data)
    if turn.stop_as:
        finish_stop(turn)
        return
    decisions = decide.after(
        workflow, StoredFacts(turn.row), rules_of(turn.row),
        step=run.step_id, scope=run.scope_path, result=result, made=turn.step_runs_made,
    )  # fmt: skip
    go_on(turn, carry_out(turn, workflow, decisions), worker=None)
