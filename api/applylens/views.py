"""The endpoints of incidents: HTTP to one domain call, and its answer back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema

from api.applylens import outputs, schema
from api.applylens.errors import ApplyLensView
from api.applylens.inputs import (
    ApplyLensAcknowledgeInput,
    ApplyLensAssignInput,
    ApplyLensEditInput,
    ApplyLensNotesInput,
    filter_of,
    read_all,
    rows_of,
)
from api.applylens.once import Answer, answered_once
from api.base import Body, FamilyRequest, Response
from api.errors import Kind, Refusal
from api.pagination import whole_number
from core.errors import Invalid
from incidents.engine.finding import KINDS, SEVERITIES, Finding, read_finding
from incidents.engine.signals import read_signal
from incidents.models import Status
from incidents.selectors import get_incident, list_incidents
from incidents.services import FLOOD_CAP, assign_incident, edit_incident, move_incident, report_incidents

LARGEST_OFFSET = 10**9


class Incidents(ApplyLensView):
    """GET and POST /api/incidents"""

    permissions = {"GET": "incidents:read", "POST": "incidents:write"}

    @extend_schema(
        operation_id="applylens_list_incidents",
        parameters=schema.LIST_QUERY,
        responses=schema.ApplyLensIncidentList,
    )
    def get(self, request: FamilyRequest) -> Response:
        """List incidents, the newest first."""
        limit = whole_number(request, "limit", default=50, minimum=1, maximum=100)
        offset = whole_number(request, "offset", default=0, minimum=0, maximum=LARGEST_OFFSET)
        words = {"status": Status.values, "severity": SEVERITIES, "kind": KINDS}
        named = {name: filter_of(request, name, known) for name, known in words.items()}
        found = list_incidents(request.tenant).filter(**{name: value for name, value in named.items() if value})
        total = found.count()
        rows = [outputs.item(incident) for incident in found[offset : offset + limit]]
        return Response({"incidents": rows, "total": total, "limit": limit, "offset": offset})

    @extend_schema(
        operation_id="applylens_make_incidents", request=schema.MAKE_INCIDENTS, responses=schema.MADE_INCIDENTS
    )
    def post(self, request: FamilyRequest) -> Response:
        """Make an incident, or up to 1,000. One that is live already is not made a second time."""
        return _report(request, "incidents", read_finding)


class Signals(ApplyLensView):
    """POST /api/incidents/signals"""

    permissions = {"POST": "incidents:write"}

    @extend_schema(
        operation_id="applylens_report_signals", request=schema.REPORT_SIGNALS, responses=schema.MADE_INCIDENTS
    )
    def post(self, request: FamilyRequest) -> Response:
        """Report what a detector saw, one thing or up to 1,000: the rules make incidents of it."""
        now = request.now
        return _report(request, "signals", lambda value: read_signal(value, source="gate_bridge", now=now))


class IncidentDetail(ApplyLensView):
    """GET and PATCH /api/incidents/{id}"""

    permissions = {"GET": "incidents:read", "PATCH": "incidents:write"}

    @extend_schema(operation_id="applylens_get_incident", responses=schema.ApplyLensIncident)
    def get(self, request: FamilyRequest, incident: int) -> Response:
        """Return an incident."""
        return Response(outputs.detail(get_incident(request.tenant, incident)))

    @extend_schema(
        operation_id="applylens_edit_incident", request=ApplyLensEditInput, responses=schema.ApplyLensIncident
    )
    def patch(self, request: FamilyRequest, incident: int) -> Response:
        """Edit an incident that is not closed. Metadata is merged, one level deep."""
        body = ApplyLensEditInput(data=request.data)
        _check(request, incident, body)
        edited = edit_incident(
            tenant=request.tenant,
            number=incident,
            changes=body.validated_data,
            actor=request.actor,
            now=request.now,
        )
        return Response(outputs.detail(edited))


class Transition(ApplyLensView):
    """POST /api/incidents/{id}/<verb>"""

    permissions = {"POST": "incidents:write"}
    bodies = {"POST": Body.OPTIONAL}
    verb: ClassVar[str]
    shape: ClassVar[type[ApplyLensNotesInput]] = ApplyLensNotesInput

    def move(self, request: FamilyRequest, incident: int) -> Response:
        body = self.shape(data=request.data)
        _check(request, incident, body)
        moved = move_incident(
            tenant=request.tenant,
            number=incident,
            verb=self.verb,
            actor=request.actor,
            now=request.now,
            **body.validated_data,
        )
        return Response(outputs.moved(moved))


class Acknowledge(Transition):
    verb, shape = "acknowledge", ApplyLensAcknowledgeInput

    @extend_schema(
        operation_id="applylens_acknowledge_incident",
        request=ApplyLensAcknowledgeInput,
        responses=schema.ApplyLensAcknowledged,
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Take an open incident up."""
        return self.move(request, incident)


class Mitigate(Transition):
    verb = "mitigate"

    @extend_schema(
        operation_id="applylens_mitigate_incident", request=ApplyLensNotesInput, responses=schema.ApplyLensMitigated
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Say that an incident does no more harm."""
        return self.move(request, incident)


class Resolve(Transition):
    verb = "resolve"

    @extend_schema(
        operation_id="applylens_resolve_incident", request=ApplyLensNotesInput, responses=schema.ApplyLensResolved
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Say that the cause of an incident is gone; its issue is commented and closed."""
        return self.move(request, incident)


class Close(Transition):
    verb = "close"

    @extend_schema(
        operation_id="applylens_close_incident", request=ApplyLensNotesInput, responses=schema.ApplyLensClosed
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Close an incident for good."""
        return self.move(request, incident)


class Assign(ApplyLensView):
    """POST /api/incidents/{id}/assign"""

    permissions = {"POST": "incidents:write"}

    @extend_schema(
        operation_id="applylens_assign_incident", request=ApplyLensAssignInput, responses=schema.ApplyLensAssigned
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Give an incident to a person of the tenant, or to nobody."""
        body = ApplyLensAssignInput(data=request.data)
        _check(request, incident, body)
        assigned = assign_incident(
            tenant=request.tenant,
            number=incident,
            to=body.validated_data["assigned_to"],
            actor=request.actor,
            now=request.now,
        )
        return Response(outputs.assigned(assigned))


def _check(request: FamilyRequest, incident: int, body: Any) -> None:
    """An incident that is not there is said to be missing whatever the body is worth."""
    get_incident(request.tenant, incident)
    body.is_valid(raise_exception=True)


def _report(request: FamilyRequest, name: str, read: Callable[[Any], Finding]) -> Response:
    rows = rows_of(request.data, name)
    findings = [read(request.data)] if rows is None else read_all(rows, read)

    def work() -> Answer:
        reported = report_incidents(tenant=request.tenant, findings=findings, actor=request.actor, now=request.now)
        return (200, outputs.bulk(reported)) if rows is not None else _one(request, reported[0])

    return answered_once(request, name, work)


def _one(request: FamilyRequest, reported: Any) -> Answer:
    """The answer to a single object: made, known already, too many of it, or wrong."""
    if reported.outcome == "invalid":
        fault = reported.faults[0]
        raise Invalid(f"{fault.path}: {fault.message}", fields=reported.faults)
    if reported.outcome == "suppressed":
        reset = int((request.now + timedelta(seconds=reported.retry_after)).timestamp())
        raise Refusal(
            Kind.RATE_LIMITED,
            f"{FLOOD_CAP} incidents of this kind and key were made within an hour.",
            headers={
                "X-RateLimit-Limit": str(FLOOD_CAP),
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(reset),
            },
            retry_after=reported.retry_after,
        )
    shown = outputs.detail(get_incident(request.tenant, reported.id))
    return (201, shown) if reported.outcome == "created" else (200, shown | {"deduplicated": True})
