"""Reads: incidents of a tenant, what was noted about them, and the events of its stream."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Min, QuerySet
from django.db.models.functions import Lower

from accounts.models import Tenant
from accounts.selectors import list_users
from core.errors import NotFound
from incidents.action_models import ActionRun
from incidents.models import EventCounter, Incident, IncidentEvent, Note

UNKNOWN_PERSON: Final = "Must be the e-mail address of an active user of this tenant."
#: how far back a stream is resumed; older events are let go
KEPT: Final = timedelta(hours=1)
MOST_REPLAYED: Final = 1_000


class IncidentNotFound(NotFound):
    code = "incident_not_found"


def get_incident(tenant: Tenant, number: int) -> Incident:
    """Raises IncidentNotFound, alike for what does not exist and for another tenant's."""
    found = list_incidents(tenant).filter(pk=number).first()
    if found is None:
        raise IncidentNotFound("Incident not found")
    return found


def list_incidents(tenant: Tenant) -> QuerySet[Incident]:
    return Incident.objects.filter(tenant=tenant).order_by("-created_at", "-id")


def list_notes(incident: Incident) -> QuerySet[Note]:
    return Note.objects.filter(incident=incident).order_by("id")


def executed_actions(incident: Incident) -> list[int]:
    """Return the ids of the actions that succeeded, in their order."""
    done = ActionRun.objects.filter(incident=incident, dry_run=False, status="success")
    return list(done.order_by("id").values_list("pk", flat=True))


def active_people(tenant: Tenant, emails: Collection[str]) -> dict[str, str]:
    """Return those of ``emails`` that belong to active users of the tenant: in small letters -> as the user has it."""
    if not emails:
        return {}
    people = list_users(tenant).filter(is_active=True).annotate(small=Lower("email"))
    found = people.filter(small__in={email.lower() for email in emails}).values_list("small", "email")
    return dict(found)


@dataclass(frozen=True)
class Start:
    """Where a stream begins: after ``number``. ``is_gap``: events that the subscriber did not see are gone."""

    number: int
    is_gap: bool = False


def start_of_stream(tenant_id: UUID, *, last_seen: int | None, now: datetime) -> Start:
    """Return where a stream begins that was last seen at a number; None: it begins with what happens next."""
    head = EventCounter.objects.filter(tenant_id=tenant_id).values_list("last", flat=True).first() or 0
    if last_seen is None:
        return Start(head)
    if last_seen > head:
        return Start(head, is_gap=True)
    missed = IncidentEvent.objects.filter(tenant_id=tenant_id, number__gt=last_seen, number__lte=head)
    first = missed.filter(at__gte=now - KEPT).aggregate(first=Min("number"))["first"]
    begin = max(head if first is None else first - 1, head - MOST_REPLAYED)
    return Start(begin, is_gap=begin != last_seen)


def events_after(tenant_id: UUID, number: int, *, limit: int) -> list[IncidentEvent]:
    rows = IncidentEvent.objects.filter(tenant_id=tenant_id, number__gt=number)
    return list(rows.order_by("number")[:limit])
