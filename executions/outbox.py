"""Outgoing webhooks: written in the transaction of what they tell of, delivered at least once by the sweep."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from executions.models import OutboxMessage, WebhookTarget

if TYPE_CHECKING:
    from executions.models import Execution
    from executions.turn import Turn


def tell_start(execution: Execution) -> None:
    _tell("playbook.started", execution.pk, execution.tenant_id, execution.status, execution.created_at)


def tell_end(turn: Turn) -> None:
    """A cancelled run is told as ``playbook.failed`` with status ``cancelled`` (contracts: S4E, webhooks)."""
    event = "playbook.completed" if turn.status == "completed" else "playbook.failed"
    _tell(event, turn.id, turn.row.tenant_id, turn.status, turn.now)


def _tell(event: str, execution_id: UUID, tenant_id: UUID, status: str, now: datetime) -> None:
    targets = WebhookTarget.objects.filter(tenant_id=tenant_id, is_enabled=True)
    body: dict[str, Any] = {"execution": str(execution_id), "status": status}
    OutboxMessage.objects.bulk_create(
        OutboxMessage(tenant_id=tenant_id, target=target, event=event, body=body, created_at=now, due_at=now)
        for target in targets
    )
