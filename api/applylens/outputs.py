"""What callers see of incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from incidents.engine.statuses import MOVES
from incidents.models import Incident, Note
from incidents.selectors import executed_actions, list_notes
from incidents.services import Reported
from incidents.timestamps import written


def item(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.pk,
        "kind": incident.kind,
        "key": incident.key,
        "severity": incident.severity,
        "status": incident.status,
        "summary": incident.summary,
        "details": incident.details,
        "playbooks": incident.playbooks,
        "issue_url": incident.issue_url,
        "assigned_to": incident.assigned_to,
        "acknowledged_by": incident.acknowledged_by,
        "created_at": written(incident.created_at),
        "updated_at": written(incident.updated_at),
    }


def detail(incident: Incident) -> dict[str, Any]:
    return item(incident) | {
        "metadata": _metadata(incident),
        "acknowledged_at": _time(incident.acknowledged_at),
        "mitigated_at": _time(incident.mitigated_at),
        "resolved_at": _time(incident.resolved_at),
        "closed_at": _time(incident.closed_at),
    }


def moved(incident: Incident) -> dict[str, Any]:
    """The answer of a verb: what it changed."""
    by = {"acknowledged_by": incident.acknowledged_by} if incident.status == "acknowledged" else {}
    return {
        "id": incident.pk,
        "status": incident.status,
        **by,
        f"{incident.status}_at": _time(getattr(incident, f"{incident.status}_at")),
        "updated_at": written(incident.updated_at),
    }


def assigned(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.pk,
        "status": incident.status,
        "assigned_to": incident.assigned_to,
        "updated_at": written(incident.updated_at),
    }


def bulk(reported: list[Reported]) -> dict[str, Any]:
    outcomes = [one.outcome for one in reported]
    counts = {name: outcomes.count(name) for name in ("created", "deduplicated", "suppressed", "invalid")}
    return counts | {"results": [_result(index, one) for index, one in enumerate(reported)]}


def _result(index: int, one: Reported) -> dict[str, Any]:
    found: dict[str, Any] = {"index": index, "outcome": one.outcome}
    if one.id is not None:
        found["id"] = one.id
    if one.faults:
        details = {fault.path or "body": fault.message for fault in one.faults}
        found["error"] = {"code": "validation_error", "message": one.faults[0].message, "details": details}
    return found


def _metadata(incident: Incident) -> dict[str, Any]:
    """What was stored with it, and the names that are ours, read from rows (``incidents.engine.finding.OURS``)."""
    notes = list(list_notes(incident))
    named = {note.verb: note.text for note in notes if note.text}
    last = {move.notes: named[verb] for verb, move in MOVES.items() if verb in named}
    return incident.metadata | last | {"action_history": executed_actions(incident), "notes": list(map(_note, notes))}


def _note(note: Note) -> dict[str, Any]:
    return {"verb": note.verb, "by": note.by, "at": written(note.at), "text": note.text}


def _time(moment: datetime | None) -> str | None:
    return written(moment) if moment else None
