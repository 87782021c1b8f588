"""Reads an execution's events as a history, and holds it against the tables of moves and against the rows (I3, I23)."""

from __future__ import annotations

from uuid import UUID

from executions.engine.statuses import EXECUTION_MOVES, STEP_BEGINNINGS, STEP_MOVES, ExecutionStatus, StepStatus
from executions.models import Event, Execution, StepRun

_EXECUTION = {
    "execution.started": ExecutionStatus.RUNNING,
    "execution.paused": ExecutionStatus.PAUSED,
    "execution.completed": ExecutionStatus.COMPLETED,
    "execution.failed": ExecutionStatus.FAILED,
    "execution.cancelled": ExecutionStatus.CANCELLED,
}


def check_history(execution: Execution) -> None:
    """The events are numbered without gap, each tells a legal move, and together they lead to the rows."""
    execution.refresh_from_db()
    found = list(Event.objects.filter(execution=execution).order_by("seq"))
    assert [event.seq for event in found] == list(range(1, execution.last_seq + 1))
    assert _follow_execution(found) == execution.status
    stored = dict(StepRun.objects.filter(execution=execution).values_list("pk", "status"))
    assert _follow_steps(found) == stored


def _follow_execution(found: list[Event]) -> ExecutionStatus:
    status, has_started = ExecutionStatus.PENDING, False
    for event in found:
        if event.type == "execution.resumed":
            new = ExecutionStatus.RUNNING if has_started else ExecutionStatus.PENDING
        elif event.type in _EXECUTION:
            new = _EXECUTION[event.type]
        else:
            continue
        has_started = has_started or event.type == "execution.started"
        assert new == status or new in EXECUTION_MOVES.get(status, ()), f"{status} to {new} at {event.seq}"
        status = new
    return status


def _follow_steps(found: list[Event]) -> dict[UUID, str]:
    steps: dict[UUID, str] = {}
    for event in found:
        kind, _, word = event.type.partition(".")
        if kind != "step" or event.step_run_id is None:
            continue
        new = StepStatus.RUNNING if word == "claimed" else StepStatus(word)
        old = steps.get(event.step_run_id)
        legal = STEP_BEGINNINGS if old is None else STEP_MOVES.get(StepStatus(old), frozenset())
        assert new in legal, f"{old} to {new} at {event.seq}"
        steps[event.step_run_id] = new
    return steps
