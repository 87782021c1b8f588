"""Pause, resume and cancel. Each is a turn: whoever locks the execution first decides the order."""

from __future__ import annotations

from datetime import datetime

from core.actors import Actor
from core.errors import Conflict
from executions.models import Execution
from executions.services.stopping import stop_execution
from executions.turn import Turn, turn_of


class ExecutionEnded(Conflict):
    code = "execution_ended"


def cancel_execution(*, execution: Execution, actor: Actor, now: datetime, reason: str = "cancelled") -> Execution:
    """Ask the execution to stop. Running attempts get their grace; nothing new starts (I18)."""
    with turn_of(execution.pk) as turn:
        _check_live(turn)
        assert turn is not None
        if turn.stop_as:
            raise ExecutionEnded("The execution is stopping already.")
        stop_execution(turn, as_="cancelled", reason=reason, message=f"cancelled by {actor.name}")
    execution.refresh_from_db()
    return execution


def pause_execution(*, execution: Execution, actor: Actor, now: datetime) -> Execution:
    """Hold the execution: no claim succeeds from this commit on (I17). Idempotent."""
    with turn_of(execution.pk) as turn:
        _check_live(turn)
        assert turn is not None
        if turn.held_at is None:
            turn.hold(by=actor.name)
    execution.refresh_from_db()
    return execution


def resume_execution(*, execution: Execution, actor: Actor, now: datetime) -> Execution:
    """Lift the hold and look for what is due. Idempotent."""
    with turn_of(execution.pk) as turn:
        _check_live(turn)
        assert turn is not None
        if turn.held_at is not None:
            turn.lift_hold(by=actor.name)
            turn.wakes_dispatcher = True
    execution.refresh_from_db()
    return execution


def _check_live(turn: Turn | None) -> None:
    if turn is None:
        raise ExecutionEnded("There is no such execution any more.")
    if not turn.is_live:
        raise ExecutionEnded(f"The execution has ended: it is {turn.status}.")
