"""What goes out: one text frame an event (RULINGS 25), and errors about what the client sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core import strict_json

if TYPE_CHECKING:
    from executions.models import Event


def event_frame(event: Event) -> str:
    return strict_json.dumps(
        {
            "seq": event.seq,
            "type": event.type,
            "at": _utc(event.at),
            "execution_id": str(event.execution_id),
            "step_run_id": str(event.step_run_id) if event.step_run_id else None,
            "data": event.data,
        }
    ).decode()


def error_frame(code: str, message: str) -> str:
    """It has no ``seq``, so that no client takes it for an event."""
    return strict_json.dumps({"type": "error", "code": code, "message": message}).decode()


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
