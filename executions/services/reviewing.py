"""Reviews: what nobody can know is put to a person, and nothing unknown is ever dropped (ruling 30)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from executions.intended import INTENDED
from executions.models import Review, StepRun
from executions.turn import Turn


def open_review(turn: Turn, step_run: UUID, *, why: str, probe: str = "", lost_at: datetime | None = None) -> None:
    """Open a review of an unknown effect; a second one of the same step run changes nothing.

    ``probe``: what the far side said when it was asked. ``lost_at``: when the lease of a lost worker ran out. What was
    to be called is kept with the intent.
    """
    run = StepRun.objects.only("step_id", "fence", "note").get(pk=step_run)
    intended = run.note.get(INTENDED) or {}
    facts = {
        "step": run.step_id,
        "attempt": intended.get("attempt", run.fence),
        "calls": intended.get("calls", []),
        "probe": probe or None,
        "lease_lost_at": lost_at.isoformat() if lost_at else None,
    }
    Review.objects.get_or_create(
        tenant_id=turn.row.tenant_id,
        execution_id=turn.id,
        step_run_id=step_run,
        status="open",
        defaults={"why": why, "facts": facts, "opened_at": turn.now},
    )
