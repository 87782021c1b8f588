"""Records what an attempt came to, and goes on: the one door back for machines (EXECUTION-SEMANTICS 6.7)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from connectors.base import OutcomeKind
from core import failpoints
from executions import approving, phases, statements
from executions.engine import decide, questions
from executions.engine.apart import Damaged
from executions.engine.decisions import Decision, Kind, Result, ScopeChanged, ScopeOpened
from executions.engine.outputs import OutputInvalid
from executions.engine.statuses import StepStatus
from executions.engine.variables import Scopes
from executions.facts import StoredFacts
from executions.payloads import TooLarge
from executions.performed import Performed, ToApprove, engine_failure
from executions.rows import StepRunRow
from executions.rules import rules_of
from executions.services import carrying
from executions.services.answers import Answered, answered_by_script
from executions.services.applying import carry_out_and_claim
from executions.services.asking import open_approval, open_request
from executions.services.asking_again import close_review, next_round
from executions.services.claiming import Work, claim_in, claimed_before, work_on
from executions.services.following import Ending, ending_of
from executions.services.in_doubt import until_committed
from executions.services.outputs import result_of, written_and_noted
from executions.services.reviewing import open_review
from executions.services.stopping import finish_stop, stop_step_runs
from executions.turn import Turn, turn_of
from playbooks.cacao.types import Command


def record_outcome(*, work: Work, performed: Performed, carry_on: bool, beside: Sequence[UUID] = ()) -> Work | None:
    """Record an attempt and, where ``carry_on``, claim the step that follows in the same commit.

    Where nothing follows, the first of ``beside`` is claimed: branches of the same execution that one nudge named.

    A commit whose answer was lost is read back by its fence before anything else is done (6.8): the record is
    guarded by the fence, so recording again either repeats what was rolled back or finds it done.
    """
    return until_committed(
        work, lambda is_again: _record(work, performed, carry_on=carry_on, beside=beside, is_again=is_again)
    )


def _record(work: Work, performed: Performed, *, carry_on: bool, beside: Sequence[UUID], is_again: bool) -> Work | None:
    carried = carrying.carry_on(work, performed, beside=beside) if carry_on and not is_again else None
    if carried is not None:
        return carried.work
    with turn_of(work.run.execution_id) as turn:
        holds, may_go_on = (False, False) if turn is None else _end_attempt(work, performed)
        if turn is None or not holds:
            if turn is not None and is_again and carry_on:
                claimed = claimed_before(turn, worker=work.worker, asked_at=work.asked_at)
                if claimed is not None:
                    return claimed  # by the commit whose answer was lost
            _keep_late(turn, work, performed)
            return None
        close_review(turn, work.run, performed)
        transaction.on_commit(_recorded)  # before the turn's own: nobody has been told yet
        decisions = _settle(turn, work, performed)
        if turn.stop_as:
            # What reported in time is recorded as what it was, but starts nothing: no retry, no waiting.
            stop_step_runs(turn, scopes=None)
            finish_stop(turn)
            return None
        turn.wakes_dispatcher = turn.wakes_dispatcher or performed.frees_place
        worker = work.worker if carry_on and may_go_on else None
        due, run = carry_out_and_claim(turn, work.workflow, decisions, worker=worker)
        if run is not None:
            turn.wakes_dispatcher = turn.wakes_dispatcher or len(due) > 1
            return work_on(turn, run, worker=work.worker, facts=_known(work, run, decisions))
        return go_on(turn, due, worker=worker, beside=beside)


def _end_attempt(work: Work, performed: Performed) -> tuple[bool, bool]:
    outcome = performed.outcome
    return statements.end_held_attempt(
        work.run, outcome=outcome.kind.value, code=outcome.code, message=outcome.message, calls=performed.calls
    )


def _known(work: Work, run: StepRunRow, decisions: Sequence[Decision]) -> StoredFacts | None:
    """The scopes as this step read them, for one that follows in the same scope; None where they have changed."""
    is_changed = any(isinstance(decision, ScopeChanged | ScopeOpened) for decision in decisions)
    return work.facts if run.scope_path == work.run.scope_path and not is_changed else None


def _recorded() -> None:
    failpoints.reach("after_record_commit")


def go_on(turn: Turn, due: list[UUID], *, worker: str | None, beside: Sequence[UUID] = ()) -> Work | None:
    """Claim the first of what is due, where a worker carries on; leave the rest to the dispatcher."""
    following = due[0] if due else next(iter(beside), None)
    claimed = claim_in(turn, following, worker=worker) if following and worker else None
    left = due[1:] if claimed else due
    turn.wakes_dispatcher = turn.wakes_dispatcher or bool(left)
    if claimed is None and turn.is_live:
        turn.rest()
    return claimed


def _settle(turn: Turn, work: Work, performed: Performed) -> list[Decision]:
    """Move the step run, and let the engine say what follows."""
    outcome, run = performed.outcome, work.run
    if turn.stop_as and (run.kind == Kind.CONTROL or work.step.question is not None):
        # It would only have moved the flow on, which stands still now (S16).
        statements.write_outcome(run, status="cancelled", reason="cancelled", effect="none")
        turn.event("step.cancelled", run.id, step=run.step_id, scope=run.scope_path)
        return []
    if run.kind == Kind.CONTROL and outcome.kind == OutcomeKind.COMPLETED:
        return _engine_goes_on(turn, work)
    if outcome.kind == OutcomeKind.COMPLETED and (work.step.question is not None or outcome.answers):
        return _settle_scripted_answer(turn, work, performed)
    if performed.to_approve is not None:
        return _ask_whether_to_act(turn, work, performed, performed.to_approve)
    asked = phases.person_next(work.step, run.note)
    if outcome.kind == OutcomeKind.WAITING and asked is not None:
        return _ask_person(turn, work, asked)
    if outcome.kind == OutcomeKind.WAITING:
        statements.write_outcome(run, status="waiting", effect="none", counts=False)
        turn.event("step.waiting", run.id, step=run.step_id, scope=run.scope_path)
        return []
    if outcome.kind == OutcomeKind.COMPLETED:
        return _settle_completed(turn, work, performed)
    return _settle_otherwise(turn, work, performed, ending_of(work, performed, now=turn.now))


def _engine_goes_on(turn: Turn, work: Work) -> list[Decision]:
    return decide.go_on(
        work.workflow,
        _facts(turn, work),
        rules_of(turn.row),
        step=work.run.step_id,
        scope=work.run.scope_path,
        made=turn.step_runs_made,
    )


def _facts(turn: Turn, work: Work) -> StoredFacts:
    """The scopes as the claim read them: nothing but this step writes them while its fence holds."""
    return work.facts.in_turn(turn.row)


def _after(turn: Turn, work: Work, result: Result) -> list[Decision]:
    if turn.stop_as:
        return []
    return decide.after(
        work.workflow,
        _facts(turn, work),
        rules_of(turn.row),
        step=work.run.step_id,
        scope=work.run.scope_path,
        result=result,
        made=turn.step_runs_made,
    )


def _settle_completed(turn: Turn, work: Work, performed: Performed) -> list[Decision]:
    outcome, run = performed.outcome, work.run
    effect, stored = performed.effect, result_of(outcome)
    try:
        if work.execution.script is None and not phases.is_last(work.step, run.note):
            return _next_phase(turn, work, performed, effect=effect, stored=stored)
        values, note = written_and_noted(work, performed)
        statements.write_outcome(run, status="completed", effect=effect, result=stored, note=note)
    except (OutputInvalid, TooLarge, Damaged) as error:
        # What was done stays done; only what came of it cannot be kept.
        ending = Ending(StepStatus.FAILED, error.reason, str(error), effect)
        return _settle_otherwise(turn, work, performed, ending)
    turn.event("step.completed", run.id, step=run.step_id, scope=run.scope_path, attempt=run.fence)
    return _after(turn, work, Result(StepStatus.COMPLETED, values=values))


def _next_phase(
    turn: Turn, work: Work, performed: Performed, *, effect: str, stored: dict[str, object]
) -> list[Decision]:
    """The machine's commands are done and a person's follows: the step run is claimed once more for it."""
    run = work.run
    done = phases.phase(work.step, run.note).stop
    note = {phases.DONE: done} | performed.report()
    statements.write_outcome(
        run, status="pending", effect=effect, result=stored, counts=False, due_at=turn.now, note=note
    )
    statements.keep_needs(run.id, None)  # the next commands go elsewhere
    turn.event("step.pending", run.id, step=run.step_id, scope=run.scope_path, commands_done=done)
    turn.wakes_dispatcher = True
    return []


def _ask_person(turn: Turn, work: Work, command: Command) -> list[Decision]:
    """Put one command of a step to people; their answer leads on to the next command."""
    run, step = work.run, work.step
    try:
        scopes = Scopes(work.workflow, work.facts)
        text = questions.text_of(step, phases.question_of(command), scopes, work.facts, run.scope_path)
    except questions.CannotAsk as error:
        ending = Ending(StepStatus.FAILED, error.reason, str(error), run.effect)
        return _settle_otherwise(turn, work, engine_failure(error.reason, str(error)), ending)
    statements.write_outcome(run, status="waiting", effect=run.effect, counts=False)
    turn.event("step.waiting", run.id, step=run.step_id, scope=run.scope_path)
    open_request(turn, step, run.scope_path, text=text, command=command)
    return []


def _ask_whether_to_act(turn: Turn, work: Work, performed: Performed, asked: ToApprove) -> list[Decision]:
    """S6: the step waits for votes. An approval of something else is void from here on (I15)."""
    run = work.run
    note = {approving.NOTE: None} | performed.report()
    statements.write_outcome(run, status="waiting", effect=run.effect, counts=False, note=note)
    turn.event("step.waiting", run.id, step=run.step_id, scope=run.scope_path)
    open_approval(turn, work.step, run.scope_path, asked)
    return []


def _settle_scripted_answer(turn: Turn, work: Work, performed: Performed) -> list[Decision]:
    run = work.run
    answered: Answered = answered_by_script(work, performed.outcome)
    if answered.error:
        ending = Ending(StepStatus.FAILED, "output_invalid", answered.error, "none")
        return _settle_otherwise(turn, work, performed, ending)
    if not work.step.is_opener:
        statements.write_outcome(run, status="completed", effect="none", result={"output": performed.outcome.output})
        turn.event("step.completed", run.id, step=run.step_id, scope=run.scope_path, attempt=run.fence)
    return _after(turn, work, Result(StepStatus.COMPLETED, values=answered.values, verdict=answered.verdict))


def _settle_otherwise(turn: Turn, work: Work, performed: Performed, ending: Ending) -> list[Decision]:
    run, is_uncertain = work.run, ending.status == StepStatus.UNCERTAIN
    statements.write_outcome(
        run,
        status=ending.status.value,
        reason=ending.reason,
        message=ending.message,
        effect=ending.effect,
        due_at=next_round(run, performed, now=turn.now) if is_uncertain else ending.due_at,
        quarantine_until=turn.now + performed.call_limit if is_uncertain else None,
        note=performed.report(),
    )
    data = {"step": run.step_id, "scope": run.scope_path, "attempt": run.fence}
    if ending.reason:
        data |= {"reason": ending.reason, "message": ending.message}
    turn.event(f"step.{ending.status.value}", run.id, **data)
    if ending.review:
        open_review(turn, run.id, why=ending.review, probe=performed.probed.value if performed.probed else "")
    if ending.status in (StepStatus.RETRYING, StepStatus.UNCERTAIN):
        return []
    if ending.status == StepStatus.SKIPPED:
        return _after(turn, work, Result(StepStatus.SKIPPED))
    turn.failed_steps += 1
    return _after(turn, work, Result(ending.status, ending.reason, ending.message))


def _keep_late(turn: Turn | None, work: Work, performed: Performed) -> None:
    """Keep an outcome that came after the fence moved; it never moves anything (I5)."""
    outcome = performed.outcome
    note = {"outcome": outcome.kind.value, "code": outcome.code, "message": outcome.message, "sent": outcome.sent}
    if turn is not None and statements.keep_late_note(work.run.id, work.run.fence, note):
        turn.event("note.late", work.run.id, step=work.run.step_id, attempt=work.run.fence, outcome=note["outcome"])
