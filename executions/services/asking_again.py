"""Asks a far side once more whether an effect is there that it could not tell of (S12 by a probe).

An uncertain step run of a ``probe`` operation goes back to pending with its effect still intended, so that whoever
claims it asks before anything else. Its review stays open meanwhile, and is resolved by a clear answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from connectors.base import ProbeAnswer
from executions import deadlines, statements
from executions.engine.decisions import Kind
from executions.models import Review, StepRun
from executions.performed import Performed
from executions.rows import StepRunRow
from executions.turn import Turn, turn_of
from playbooks.selectors import workflow_by_id

FIRST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=1)
#: after the last, some 20 hours later, only a person can tell
ROUNDS: Final = 24
ROUND: Final = "asked_again"


def next_round(run: StepRunRow, performed: Performed, *, now: datetime) -> datetime | None:
    """When the far side is asked again; None where it cannot be asked, or was asked often enough."""
    rounds = int(run.note.get(ROUND, 0))
    if performed.effect_class != "probe" or performed.probed != ProbeAnswer.CANNOT_TELL or rounds >= ROUNDS:
        return None
    wait: timedelta = min(LONGEST, FIRST * int(2 ** min(rounds, 10)))
    return now + wait


def ask_again(run_id: UUID, execution_id: UUID) -> bool:
    """Let a worker ask. The caller found that the time for it has come; here it is looked at once more."""
    with turn_of(execution_id) as turn:
        if turn is None or not turn.may_claim:
            return False
        run = StepRun.objects.select_for_update().get(pk=run_id)
        if run.status != "uncertain" or run.due_at is None or run.due_at > turn.now:
            return False
        if run.quarantine_until and run.quarantine_until > turn.now:
            return False
        note: dict[str, Any] = {ROUND: int(run.note.get(ROUND, 0)) + 1}
        moved = statements.move_step_run(
            run.pk, old=("uncertain",), new="pending", due_at=turn.now, effect="intended", note=note
        )
        if not moved:
            return False
        step = workflow_by_id(turn.row.version_id).steps[run.step_id]
        deadline = deadlines.of_step_run(step, Kind(run.kind), turn.now)
        StepRun.objects.filter(pk=run.pk).update(deadline_at=deadline, lost_attempts=0, tries=0)
        turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, reason="asking_again")
        turn.wakes_dispatcher = True
        turn.rest()
    return True


def close_review(turn: Turn, run: StepRunRow, performed: Performed) -> None:
    """The far side could tell: nobody has to be asked any more. Not told apart, the review stays as it is."""
    words = {ProbeAnswer.THERE: "happened", ProbeAnswer.NOT_THERE: "again"}
    resolution = words.get(performed.probed) if performed.probed is not None else None
    if resolution is None or not run.note.get(ROUND):
        return
    Review.objects.filter(step_run_id=run.id, status="open").update(
        status="resolved",
        resolution=resolution,
        reason="The far side was asked again, and could tell.",
        resolved_at=turn.now,
        resolved_by="the far side",
    )
