"""Carries out what the engine decided, inside one turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from core import failpoints
from executions import deadlines, statements
from executions.engine.decisions import (
    Asked,
    Decision,
    Ended,
    Kind,
    Moved,
    Opened,
    ScopeChanged,
    ScopeOpened,
    Stopped,
)
from executions.engine.statuses import StepStatus
from executions.rows import NewStepRun, StepRunRow, step_run_id
from executions.services.asking import open_request
from executions.services.stopping import finish_stop, stop_execution, stop_step_runs
from executions.turn import Turn
from playbooks.cacao.types import Step, Workflow


def carry_out(turn: Turn, workflow: Workflow, decisions: Sequence[Decision]) -> list[UUID]:
    """Write decisions in order; return the step runs that are due at once, in the order they were opened."""
    return carry_out_and_claim(turn, workflow, decisions, worker=None)[0]


def carry_out_and_claim(
    turn: Turn, workflow: Workflow, decisions: Sequence[Decision], *, worker: str | None
) -> tuple[list[UUID], StepRunRow | None]:
    """Write decisions in order, and claim the step run that is opened, where it is the only one and due at once.

    Return the step runs that are due at once, in the order they were opened, and the first of them if it is claimed.
    """
    statements.insert_scopes(turn.id, [d.scope for d in decisions if isinstance(d, ScopeOpened)])
    opened = [d for d in decisions if isinstance(d, Opened)]
    rows = [_new_step_run(turn, workflow.steps[d.step], d) for d in opened]
    if any(_joins(workflow, d) for d in decisions):
        failpoints.reach("before_join_insert")
    run = None
    if worker is not None and turn.may_claim and len(opened) == 1 and _is_due_first(turn, rows[0], decisions):
        lease = settings.SALLYPORT_LEASE
        run = statements.open_and_claim(turn.row, rows[0], now=turn.now, worker=worker, lease=lease)
    else:
        statements.insert_step_runs(turn.row, rows, now=turn.now)
    due: list[UUID] = []
    for decision in decisions:
        _carry_out_one(turn, workflow, decision, due)
    return due, run


def _is_due_first(turn: Turn, run: NewStepRun, decisions: Sequence[Decision]) -> bool:
    """Whether the one step run that is opened is due, nothing comes before it, and nothing stops the execution."""
    is_due = run.status == "pending" and run.due_at is not None and run.due_at <= turn.now
    return is_due and not any(isinstance(decision, Asked | Ended | Stopped) for decision in decisions)


def _joins(workflow: Workflow, decision: Decision) -> bool:
    if not isinstance(decision, Moved) or decision.to not in (StepStatus.COMPLETED, StepStatus.FAILED):
        return False
    return workflow.steps[decision.step].is_opener


def _carry_out_one(turn: Turn, workflow: Workflow, decision: Decision, due: list[UUID]) -> None:
    match decision:
        case Opened():
            _tell_opened(turn, workflow.steps[decision.step], decision, due)
        case Moved():
            _move(turn, decision)
        case Asked():
            _ask(turn, workflow.steps[decision.step], decision, due)
        case ScopeChanged():
            statements.update_scope(turn.id, decision.scope)
        case Stopped():
            stop_step_runs(turn, scopes=decision.scopes)
        case Ended():
            _end(turn, decision)
        case ScopeOpened():
            pass  # inserted above, before what stands in it


def _new_step_run(turn: Turn, step: Step, decision: Opened) -> NewStepRun:
    turn.step_runs_made += 1
    status, due_at = decision.status, None
    is_scripted = turn.row.script is not None
    delay = timedelta(0) if is_scripted else decision.delay
    if is_scripted and decision.question is not None and status == StepStatus.WAITING:
        status = StepStatus.PENDING  # the fake connector answers in place of a person
    is_final = status in (StepStatus.COMPLETED, StepStatus.FAILED)
    if status == StepStatus.PENDING:
        due_at = turn.now + delay
    elif decision.kind == Kind.TIMER:
        due_at = turn.now + (timedelta(0) if is_scripted else decision.wait or timedelta(0))
    return NewStepRun(
        step_id=decision.step,
        scope_path=decision.scope,
        step_type=step.type.value,
        kind=decision.kind.value,
        position=turn.step_runs_made,
        status=status.value,
        reason=decision.reason,
        message=decision.message,
        due_at=due_at,
        deadline_at=None if is_final else deadlines.of_step_run(step, decision.kind, turn.now + delay),
        delay=decision.delay or decision.wait,
        verdict=decision.verdict,
    )


def _tell_opened(turn: Turn, step: Step, decision: Opened, due: list[UUID]) -> None:
    run = step_run_id(turn.id, decision.scope, decision.step)
    is_asked_of_script = decision.question is not None and turn.row.script is not None
    status = "pending" if is_asked_of_script else decision.status.value
    data: dict[str, Any] = {"step": decision.step, "scope": decision.scope}
    if decision.reason:
        data |= {"reason": decision.reason, "message": decision.message}
    turn.event(f"step.{status}", run, **data)
    if status == "failed":
        turn.failed_steps += 1
    if status == "pending" and (not decision.delay or turn.row.script is not None):
        due.append(run)
    if decision.question is not None and status == "waiting":
        open_request(turn, step, decision.scope, text=decision.question)


def _move(turn: Turn, decision: Moved) -> None:
    run = step_run_id(turn.id, decision.scope, decision.step)
    new = decision.to.value
    moved = statements.move_step_run(
        run,
        old=_moves_to(new),
        new=new,
        reason=decision.reason,
        message=decision.message,
        verdict=decision.verdict,
    )
    if not moved:
        return
    data: dict[str, Any] = {"step": decision.step, "scope": decision.scope}
    if decision.reason:
        data |= {"reason": decision.reason, "message": decision.message}
    turn.event(f"step.{new}", run, **data)
    if new == "failed":
        turn.failed_steps += 1


def _moves_to(new: str) -> tuple[str, ...]:
    """A control step is running when the engine goes on, an opener waits for its branches."""
    return ("running", "waiting") if new in ("completed", "failed") else ("running",)


def _ask(turn: Turn, step: Step, decision: Asked, due: list[UUID]) -> None:
    run = step_run_id(turn.id, decision.scope, decision.step)
    if turn.row.script is None:
        open_request(turn, step, decision.scope, text=decision.question)
        return
    statements.move_step_run(run, old=("waiting",), new="pending", due_at=turn.now, note={"asked": True})
    turn.event("step.pending", run, step=decision.step, scope=decision.scope)
    due.append(run)


def _end(turn: Turn, decision: Ended) -> None:
    turn.exception_handled = decision.exception_handled
    if turn.stop_as:
        finish_stop(turn)
        return
    if decision.status.value == "failed" and statements.has_live_step_runs(turn.id):
        stop_execution(turn, as_="failed", reason=decision.reason, message=decision.message)
        return
    turn.end(decision.status.value, decision.reason, decision.message)
