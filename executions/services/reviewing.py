"""Reviews: what nobody can know is put to a person, and nothing unknown is ever dropped (ruling 30)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from executions.models import Review
from executions.turn import Turn


def open_review(turn: Turn, step_run: UUID, *, why: str, facts: dict[str, Any] | None = None) -> None:
    """Open a review of an unknown effect; a second one of the same step run changes nothing."""
    Review.objects.get_or_create(
        tenant_id=turn.row.tenant_id,
        execution_id=turn.id,
        step_run_id=step_run,
        status="open",
        defaults={"why": why, "facts": facts or {}, "opened_at": turn.now},
    )
