"""Outgoing webhooks: written in the transaction of what they tell of, delivered at least once by the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executions.models import OutboxMessage, WebhookTarget

if TYPE_CHECKING:
    from executions.turn import Turn


def tell_start(turn: Turn) -> None:
    _tell(turn, "playbook.started")


def tell_end(turn: Turn) -> None:
    """A cancelled run is told as ``playbook.failed`` with status ``cancelled`` (contracts: S4E, webhooks)."""
    _tell(turn, "playbook.completed" if turn.status == "completed" else "playbook.failed")


def _tell(turn: Turn, event: str) -> None:
    targets = WebhookTarget.objects.filter(tenant_id=turn.row.tenant_id, is_enabled=True)
    body: dict[str, Any] = {"execution": str(turn.id), "status": turn.status}
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            tenant_id=turn.row.tenant_id,
            target=target,
            event=event,
            body=body,
            created_at=turn.now,
            due_at=turn.now,
        )
        for target in targets
    )
