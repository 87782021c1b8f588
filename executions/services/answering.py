"""The one door for people: an answer moves the step run that waits for it (S13, ruling 43)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from core import failpoints
from core.actors import Actor
from executions import approving, deadlines, phases, statements
from executions.engine import decide
from executions.engine.decisions import Kind, Result
from executions.engine.statuses import StepStatus
from executions.facts import StoredFacts
from executions.models import StepRun
from executions.rules import rules_of
from executions.services.answers import answers_so_far
from executions.services.applying import carry_out
from executions.services.recording import go_on
from executions.services.reviewing import open_review
from executions.services.stopping import finish_stop
from executions.turn import Turn, turn_of
from manual import services as manual
from manual import voting
from manual.models import ManualRequest
from manual.services import Answer, RequestGone
from playbooks.cacao.types import Step
from playbooks.cacao.values import convert
from playbooks.selectors import workflow_by_id


def answer_request(*, request: ManualRequest, answer: Answer, actor: Actor, now: datetime) -> ManualRequest:
    """Answer a manual request: checked, counted once, and the flow goes on, in one transaction.

    An approval takes the answer as a vote; it is still open when it wants more of them. Raises NotYours, ValueRefused
    (the request stays open), RequestGone; for a vote FourEyes, VotedOtherwise.
    """
    manual.check_may_answer(request=request, actor=actor)
    with turn_of(request.execution_id) as turn:
        if turn is None:
            raise RequestGone("There is no such execution any more.")
        transaction.on_commit(lambda: failpoints.reach("after_answer_commit"))  # before anybody is told
        checked = manual.check_values(request=request, answer=answer, convert=convert)
        # Locks are taken in the order execution, step run, request.
        run = StepRun.objects.select_for_update().get(pk=request.step_run_id)
        if request.kind == "approval":
            voted = voting.vote(request=request, answer=checked, actor=actor, now=now)
            if not voted.decides:
                return voted.request
            answered = voted.request
        else:
            answered = manual.answer(request=request, answer=checked, actor=actor, now=now)
        turn.event("request.answered", run.pk, step=run.step_id, by=answered.answered_by, success=checked.success)
        if answered.digest and checked.success:
            _let_act(turn, run, answered)
        else:
            settle_waiting(turn, run, result=_result(answered, checked), actor=answered.answered_by)
    return answered


def _let_act(turn: Turn, run: StepRun, request: ManualRequest) -> None:
    """S17: the step acts now, if what it prepares then is what was approved."""
    step = workflow_by_id(turn.row.version_id).steps[run.step_id]
    note = {approving.NOTE: approving.approved(run.note, request)}
    if statements.move_step_run(run.pk, old=("waiting",), new="pending", due_at=turn.now, note=note):
        statements.set_deadline(run.pk, deadlines.of_step_run(step, Kind.ACT, turn.now))
        turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, approved=request.digest)
        turn.wakes_dispatcher = True
        turn.rest()


def _result(request: ManualRequest, answer: Answer) -> Result:
    if not answer.success:
        reason = "rejected" if request.kind == "approval" else "command_failed"
        return Result(StepStatus.FAILED, reason, answer.comment or f"{request.answered_by} answered with a failure")
    if request.kind in ("decision", "choice"):
        return Result(StepStatus.COMPLETED, verdict=manual.verdict_of(request))
    return Result(StepStatus.COMPLETED, values=dict(answer.values))


def settle_waiting(turn: Turn, run: StepRun, *, result: Result, actor: str = "", output: object = None) -> None:
    """Move a step run that waits to its end, and let the engine go on."""
    workflow = workflow_by_id(turn.row.version_id)
    step = workflow.steps[run.step_id]
    if result.is_success and phases.is_mixed(step):
        result = replace(result, values={**answers_so_far(run), **result.values})
        if not phases.is_last(step, run.note):
            _lead_on(turn, step, run, result)
            return
    if step.is_opener and result.is_success:
        # The question's deadline is over with its answer; from here the opener has its own only (CACAO.md 12.13).
        statements.set_deadline(run.id, deadlines.own_deadline(step, run.created_at + (run.delay or timedelta(0))))
    else:
        # Only a step that acted, and asks anew because something changed, can have such an effect here.
        is_unknown = run.effect == "intended"
        moved = statements.move_step_run(
            run.id,
            old=("waiting",),
            new=result.status.value,
            reason=result.reason,
            message=result.message,
            result={"output": output if output is not None else dict(result.values) or None},
            actor=actor,
            effect="unknown" if is_unknown else None,
        )
        if not moved:
            return
        if is_unknown:
            open_review(turn, run.id, why="The step ended, and an earlier try of it may have had its effect.")
        data = {"step": run.step_id, "scope": run.scope_path}
        if result.reason:
            data |= {"reason": result.reason, "message": result.message}
        turn.event(f"step.{result.status.value}", run.id, **data)
        turn.failed_steps += 0 if result.is_success else 1
    if turn.stop_as:
        finish_stop(turn)
        return
    decisions = decide.after(
        workflow,
        StoredFacts(turn.row),
        rules_of(turn.row),
        step=run.step_id,
        scope=run.scope_path,
        result=result,
        made=turn.step_runs_made,
    )
    go_on(turn, carry_out(turn, workflow, decisions), worker=None)


def _lead_on(turn: Turn, step: Step, run: StepRun, result: Result) -> None:
    """A person's command is done and others follow: the step run acts again (S17)."""
    note = {phases.DONE: phases.phase(step, run.note).stop, phases.ANSWERS: dict(result.values)}
    if statements.move_step_run(run.pk, old=("waiting",), new="pending", due_at=turn.now, note=note):
        statements.set_deadline(run.pk, deadlines.of_step_run(step, Kind.ACT, turn.now))
        turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, commands_done=note[phases.DONE])
        turn.wakes_dispatcher = True
        turn.rest()


def expire_opener(turn: Turn, run_id: UUID) -> None:
    """An opener's own deadline passed: stop its branches, then fail it (CACAO.md 12.13)."""
    run = StepRun.objects.get(pk=run_id)
    workflow = workflow_by_id(turn.row.version_id)
    decisions = decide.expire(
        workflow,
        StoredFacts(turn.row),
        rules_of(turn.row),
        step=run.step_id,
        scope=run.scope_path,
        made=turn.step_runs_made,
    )
    go_on(turn, carry_out(turn, workflow, decisions), worker=None)
