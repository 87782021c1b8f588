"""What this family answers: keys, ids, status words and times as the contract has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from api.olorin import ids
from api.olorin.actions import Action, actions_of
from api.olorin.starting import CONTEXT, EVENT, KEPT
from connectors.connecting import Begun
from connectors.models import Connection
from connectors.standing import status_of
from executions.engine.apart import Damaged, whole
from executions.models import Execution
from executions.payloads import unpack

RUNNING: Final = "running"
STATUSES: Final = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


def time(moment: datetime | None) -> str | None:
    """UTC, whole seconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def started(execution: Execution) -> dict[str, Any]:
    """Exactly these keys, and word for word the same when the start is repeated."""
    return {
        "execution_id": ids.execution_id(execution.number),
        "playbook_id": ids.playbook_key(execution.playbook.slug),
        "status": RUNNING,
        "started_at": time(execution.created_at),
    }


def execution(found: Execution) -> dict[str, Any]:
    kept = kept_of(found)
    shown: dict[str, Any] = {
        "execution_id": ids.execution_id(found.number),
        "playbook_id": ids.playbook_key(found.playbook.slug),
        "investigation_id": kept.get("investigation_id"),
        "anomaly_id": kept.get("anomaly_id"),
        "tenant_id": found.tenant.slug,
        "status": STATUSES.get(found.status, RUNNING),
        "started_at": time(found.created_at),
        "completed_at": time(found.ended_at),
        "trigger_reason": kept.get("trigger_reason"),
        "actions_executed": [action(each) for each in actions_of(found)],
    }
    if found.status == "failed":
        shown["error_message"] = found.message or found.reason or "The execution failed."
    return shown


def action(found: Action) -> dict[str, Any]:
    shown = {
        "action_id": found.action_id,
        "toolkit": found.toolkit,
        "action_name": found.action_name,
        "status": found.status,
        "executed_at": time(found.executed_at),
    }
    return {**shown, "error_message": found.error_message} if found.error_message else shown


def kept_of(found: Execution) -> dict[str, Any]:
    """Return what the start gave besides the context; for one that an anomaly started, what the anomaly says."""
    inputs: Mapping[str, Any] = unpack(found.pk, found.inputs, depth=2) or {}
    event = None if CONTEXT in inputs else _read(inputs.get(EVENT))
    if not isinstance(event, Mapping):
        return {name: _text(inputs.get(name)) for name in KEPT}
    word = "Critical anomaly" if event.get("severity") == "critical" else "Anomaly"
    reason = f"{word} detected (score: {_text(event.get('score'))})"
    return {
        "investigation_id": _text(event.get("investigation_id")),
        "anomaly_id": _text(event.get("anomaly_id")),
        "trigger_reason": reason,
    }


def _read(value: Any) -> Any:
    try:
        return whole(value)
    except Damaged:
        return None


def _text(value: Any) -> str | None:
    value = _read(value)
    return value if value is None or isinstance(value, str) else str(value)


def begun(found: Begun) -> dict[str, Any]:
    return {"oauth_url": found.oauth_url, "state": found.state, "expires_at": time(found.expires_at)}


def connected(found: Connection) -> dict[str, Any]:
    return {
        "connection_id": ids.connection_id(found.pk),
        "toolkit_name": found.kind,
        "status": "active",
        "expires_at": time(found.expires_at),
    }


def connection(found: Connection, *, now: datetime) -> dict[str, Any]:
    return {
        "id": ids.connection_id(found.pk),
        "toolkit_name": found.kind,
        "status": status_of(found, now=now),
        "expires_at": time(found.expires_at),
        "created_at": time(found.created_at),
        "last_used_at": time(found.last_used_at),
    }
