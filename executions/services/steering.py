"""Pause, resume and cancel. Each is a turn: whoever locks the execution first decides the order.

A held parent holds its children, and theirs: they are locked after it, as everywhere. Each execution knows who holds
it, so that a child whose own operator holds it stays held when its parent goes on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from core.actors import Actor
from core.errors import Conflict
from executions.models import LIVE_EXECUTION, Execution
from executions.services.stopping import stop_execution
from executions.turn import Turn, turn_of

#: ``Execution.held_by``; what is not held is held by ""
OPERATOR: Final = "operator"
PARENT: Final = "parent"
BOTH: Final = "both"


class ExecutionEnded(Conflict):
    code = "execution_ended"


class HeldByParent(Conflict):
    """Only its parent's hold is on it, and that is lifted there."""

    code = "held_by_parent"


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
    """Hold the execution and its children: no claim succeeds from this commit on (I17). Idempotent."""
    with turn_of(execution.pk) as turn:
        _check_live(turn)
        assert turn is not None
        held_by = _held_by(turn)
        if not held_by:
            _hold(turn, OPERATOR, by=actor.name)
        elif held_by == PARENT:
            _note_holder(turn, BOTH)
    execution.refresh_from_db()
    return execution


def resume_execution(*, execution: Execution, actor: Actor, now: datetime) -> Execution:
    """Lift the hold, here and on the children that it held, and look for what is due. Idempotent.

    Raises HeldByParent for a child that its parent alone holds.
    """
    with turn_of(execution.pk) as turn:
        _check_live(turn)
        assert turn is not None
        held_by = _held_by(turn)
        if held_by == PARENT:
            raise HeldByParent("The execution that started this one is held. Resume that one.")
        if held_by == BOTH:
            _note_holder(turn, PARENT)
        elif held_by == OPERATOR:
            _lift(turn, by=actor.name)
    execution.refresh_from_db()
    return execution


def hold_with_parent(child: UUID, *, by: str) -> None:
    """Put the parent's hold on a child. The caller holds the parent's row: parents are locked before children."""
    with turn_of(child) as turn:
        if turn is None or not turn.is_live:
            return
        held_by = _held_by(turn)
        if not held_by:
            _hold(turn, PARENT, by=by)
        elif held_by == OPERATOR:
            _note_holder(turn, BOTH)


def _hold(turn: Turn, held_by: str, *, by: str) -> None:
    turn.hold(by=by)
    _note_holder(turn, held_by)
    for child in _live_children(turn):
        hold_with_parent(child, by=by)


def _lift(turn: Turn, *, by: str) -> None:
    turn.lift_hold(by=by)
    turn.wakes_dispatcher = True
    _note_holder(turn, "")
    for child in _live_children(turn):
        _lift_of_parent(child, by=by)


def _lift_of_parent(child: UUID, *, by: str) -> None:
    with turn_of(child) as turn:
        if turn is None or not turn.is_live:
            return
        held_by = _held_by(turn)
        if held_by == BOTH:
            _note_holder(turn, OPERATOR)
        elif held_by == PARENT:
            _lift(turn, by=by)


def _held_by(turn: Turn) -> str:
    """Who holds the locked execution. The row is read again: only the lock makes it stand still."""
    if turn.held_at is None:
        return ""
    return Execution.objects.values_list("held_by", flat=True).get(pk=turn.id) or OPERATOR


def _note_holder(turn: Turn, held_by: str) -> None:
    Execution.objects.filter(pk=turn.id).update(held_by=held_by)


def _live_children(turn: Turn) -> list[UUID]:
    """In the order of their ids, so that whoever locks several locks them in one order."""
    children = Execution.objects.filter(parent_step_run__execution_id=turn.id, status__in=LIVE_EXECUTION)
    return list(children.order_by("pk").values_list("pk", flat=True))


def _check_live(turn: Turn | None) -> None:
    if turn is None:
        raise ExecutionEnded("There is no such execution any more.")
    if not turn.is_live:
        raise ExecutionEnded(f"The execution has ended: it is {turn.status}.")
