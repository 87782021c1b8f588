"""A caller of this family, and what its answers must look like."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts.models import Tenant
from core.actors import Actor, ActorKind
from incidents.engine.finding import Finding
from incidents.models import Incident, IncidentEvent
from incidents.services import move_incident, report_incidents
from tests.api.native.calls import Api, Json, caller_of, read

if TYPE_CHECKING:
    from django.http import HttpResponse

__all__ = ["ENGINEER", "Api", "Json", "caller_of", "make", "moved", "read", "refused", "told"]

#: where the five states are reached from an open incident
WAYS = {
    "open": (),
    "acknowledged": ("acknowledge",),
    "mitigated": ("mitigate",),
    "resolved": ("mitigate", "resolve"),
    "closed": ("mitigate", "close"),
}
ENGINEER = "engineer@example.com"
DETECTOR = Actor(kind=ActorKind.SYSTEM, id="detector", name="detector")

Moved = Callable[..., Incident]


def make(tenant: Tenant, key: str = "INV_data_freshness_inbox", *, minutes_ago: float = 0, **more: Any) -> Incident:
    """Make an open incident; ``minutes_ago`` when it was made."""
    known: Json = {
        "kind": "invariant",
        "severity": "sev1",
        "summary": "Data freshness violation for inbox.triage",
        "playbooks": ("rerun_eval", "rerun_dbt"),
    }
    at = timezone.now() - timedelta(minutes=minutes_ago)
    finding = Finding(key=key, **(known | more))
    [made] = report_incidents(tenant=tenant, findings=[finding], actor=DETECTOR, now=at)
    assert made.outcome == "created", made
    assert made.id is not None
    return Incident.objects.get(pk=made.id)


def moved(tenant: Tenant, status: str, key: str = "", **more: Any) -> Incident:
    """Make an incident and bring it to ``status``."""
    incident = make(tenant, key or f"INV_{status}", **more)
    for verb in WAYS[status]:
        incident = move_incident(tenant=tenant, number=incident.pk, verb=verb, actor=DETECTOR, now=incident.updated_at)
    assert incident.status == status
    return incident


def told(tenant: Tenant, kind: str | None = None) -> list[Json]:
    """Return the data of the tenant's events, in their order."""
    rows = IncidentEvent.objects.filter(tenant=tenant).order_by("number")
    return [row.data for row in rows if kind is None or row.type == kind]


def refused(response: HttpResponse, status: int, code: str) -> Json:
    """The answer is this family's envelope with that status and code; return the error."""
    found = read(response, status)
    assert found.keys() == {"error"}, found
    error: Json = found["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["code"] == code, error
    assert response["Content-Type"] == "application/json"
    return error
