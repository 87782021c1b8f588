"""Stores what came late by its severity's clock, or did not come at all."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from core.clock import database_now
from incidents.engine.clocks import Clock
from incidents.models import Breach, Incident

BATCH = 200


def keep_clock(incident: Incident, *, now: datetime, is_new: bool = False) -> None:
    """Note what is late at ``now``, and when to look next. ``is_new``: the severity changed, and with it the clock."""
    clock = _clock(incident)
    if not is_new:
        _note_breaches([incident], now=now)
    incident.next_due_at = clock.next_due(None if is_new else now)
    incident.save(update_fields=["next_due_at"])


@transaction.atomic
def note_late_incidents() -> int:
    """Note the steps that are missing now; return how many incidents were looked at. Index incident_next_due."""
    now = database_now()
    due = Incident.objects.select_for_update(skip_locked=True).filter(next_due_at__lt=now)
    incidents = list(due.order_by("next_due_at")[:BATCH])
    _note_breaches(incidents, now=now)
    for incident in incidents:
        incident.next_due_at = _clock(incident).next_due(now)
    Incident.objects.bulk_update(incidents, ["next_due_at"])
    return len(incidents)


def _note_breaches(incidents: list[Incident], *, now: datetime) -> None:
    """A breach that is stored already stays as it was noted first."""
    Breach.objects.bulk_create(
        (
            Breach(
                tenant_id=incident.tenant_id,
                incident=incident,
                phase=phase,
                severity=incident.severity,
                due_at=due_at,
                breached_at=now,
            )
            for incident in incidents
            for phase, due_at in _clock(incident).late(now)
        ),
        ignore_conflicts=True,
    )


def _clock(incident: Incident) -> Clock:
    return Clock(
        incident.severity,
        incident.created_at,
        acknowledged_at=incident.acknowledged_at,
        mitigated_at=incident.mitigated_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
    )
