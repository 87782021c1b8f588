"""What people do with an incident. Each verb is one transaction: the move, its note, its clock, its event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import Tenant
from core.actors import Actor
from core.errors import Conflict, FieldError, Invalid
from incidents import events
from incidents.engine.statuses import CLOSED, MOVES
from incidents.models import Incident, Note
from incidents.selectors import UNKNOWN_PERSON, active_people, get_incident
from incidents.services.clocks import keep_clock
from incidents.services.issues import ask_to_resolve
from manual.selectors import email_of


class CannotMove(Conflict):
    """The incident's state does not allow it."""

    code = "illegal_transition"


@transaction.atomic
def move_incident(
    *,
    tenant: Tenant,
    number: int,
    verb: str,
    actor: Actor,
    now: datetime,
    notes: str = "",
    acknowledged_by: str | None = None,
) -> Incident:
    """Do ``verb`` of MOVES. ``acknowledged_by``: who takes it up; None: the caller.

    Raises IncidentNotFound, CannotMove. Of two equal calls at once one moves it, the other is refused.
    """
    move, by = MOVES[verb], name_of(actor)
    moved: dict[str, Any] = {"status": move.target, f"{move.target}_at": now, "updated_at": now}
    if verb == "acknowledge":
        moved["acknowledged_by"] = acknowledged_by or by
    if not Incident.objects.filter(tenant=tenant, pk=number, status__in=move.sources).update(**moved):
        incident = get_incident(tenant, number)
        raise CannotMove(f"An incident that is {incident.status} cannot be {move.target}.", status=incident.status)
    incident = get_incident(tenant, number)
    keep_clock(incident, now=now)
    Note.objects.create(incident=incident, verb=verb, by=by, at=now, text=notes)
    if verb == "resolve":
        ask_to_resolve(incident, text=notes, by=by, now=now)
    _tell(incident, move.target, now=now)
    return incident


@transaction.atomic
def assign_incident(*, tenant: Tenant, number: int, to: str | None, actor: Actor, now: datetime) -> Incident:
    """Give the incident to a person of the tenant, or to nobody. Raises IncidentNotFound, Invalid, CannotMove."""
    incident = _locked(tenant, number, "assigned")
    incident.assigned_to = _person(tenant, to)
    incident.updated_at = now
    incident.save(update_fields=["assigned_to", "updated_at"])
    text = f"To {incident.assigned_to}." if incident.assigned_to else "To nobody."
    Note.objects.create(incident=incident, verb="assign", by=name_of(actor), at=now, text=text)
    _tell(incident, "assigned", now=now)
    return incident


@transaction.atomic
def edit_incident(*, tenant: Tenant, number: int, changes: dict[str, Any], actor: Actor, now: datetime) -> Incident:
    """Set summary, severity, assigned_to or playbooks, and merge metadata, one level deep.

    Raises IncidentNotFound, Invalid, CannotMove.
    """
    incident = _locked(tenant, number, "edited")
    if not changes:
        return incident
    if "assigned_to" in changes:
        changes = changes | {"assigned_to": _person(tenant, changes["assigned_to"])}
    if "metadata" in changes:
        changes = changes | {"metadata": incident.metadata | changes["metadata"]}
    for name, value in changes.items():
        setattr(incident, name, value)
    incident.updated_at = now
    incident.save(update_fields=[*changes, "updated_at"])
    if "severity" in changes:
        keep_clock(incident, now=now, is_new=True)
    Note.objects.create(incident=incident, verb="edit", by=name_of(actor), at=now, text=", ".join(sorted(changes)))
    _tell(incident, "edited", now=now)
    return incident


def name_of(actor: Actor) -> str:
    """Return the caller's e-mail address, a key's owner's; the actor's name where nobody stands behind it."""
    return email_of(actor) or actor.name


def _locked(tenant: Tenant, number: int, verb: str) -> Incident:
    found = Incident.objects.select_for_update().filter(tenant=tenant, pk=number).first()
    incident = found or get_incident(tenant, number)
    if incident.status == CLOSED:
        raise CannotMove(f"An incident that is closed cannot be {verb}.", status=CLOSED)
    return incident


def _person(tenant: Tenant, email: str | None) -> str | None:
    if email is None:
        return None
    found = active_people(tenant, [email])
    if not found:
        raise Invalid(UNKNOWN_PERSON, fields=[FieldError("assigned_to", UNKNOWN_PERSON)])
    return found[email.lower()]


def _tell(incident: Incident, change: str, *, now: datetime) -> None:
    data = {
        "id": incident.pk,
        "status": incident.status,
        "acknowledged_by": incident.acknowledged_by,
        "change": change,
    }
    events.record(incident.tenant_id, [events.Told("incident_updated", data)], at=now)
