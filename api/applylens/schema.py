"""The shapes of this family's bodies and answers, for the OpenAPI page. Answers are made in ``outputs.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer
from rest_framework import serializers

from incidents.engine.finding import KINDS, LONGEST_KEY, LONGEST_SUMMARY, SEVERITIES
from incidents.engine.signals import BUDGET
from incidents.models import Status

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

LIST_QUERY: Final = [
    OpenApiParameter("status", str, enum=[*Status.values, "all"], description="Filter by status."),
    OpenApiParameter("severity", str, enum=[*SEVERITIES, "all"], description="Filter by severity."),
    OpenApiParameter("kind", str, enum=[*KINDS, "all"], description="Filter by kind."),
    OpenApiParameter("limit", int, default=50, description="Max results (1-100)."),
    OpenApiParameter("offset", int, default=0, description="How many to leave out."),
]
STREAM_QUERY: Final = [
    OpenApiParameter("token", str, description="A key or a stream token, for callers that cannot set headers."),
    OpenApiParameter(
        "Last-Event-ID", str, location=OpenApiParameter.HEADER, description="Resume after this event's id."
    ),
]
STREAM_AUTH: Final[list[dict[str, list[Any]]]] = [{"bearerKey": []}, {"headerKey": []}]
EVENT_STREAM: Final = {(200, "text/event-stream"): OpenApiTypes.STR}


class ApplyLensIncidentItem(Shape):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    key = serializers.CharField()
    severity = serializers.CharField()
    status = serializers.CharField()
    summary = serializers.CharField()
    details = serializers.JSONField()
    playbooks = serializers.ListField(child=serializers.CharField())
    issue_url = serializers.CharField(allow_null=True)
    assigned_to = serializers.CharField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ApplyLensIncident(ApplyLensIncidentItem):
    metadata = serializers.JSONField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    mitigated_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)


class ApplyLensIncidentList(Shape):
    incidents = ApplyLensIncidentItem(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class ApplyLensMoved(Shape):
    id = serializers.IntegerField()
    status = serializers.CharField()
    updated_at = serializers.DateTimeField()


class ApplyLensAcknowledged(ApplyLensMoved):
    acknowledged_by = serializers.CharField()
    acknowledged_at = serializers.DateTimeField()


class ApplyLensMitigated(ApplyLensMoved):
    mitigated_at = serializers.DateTimeField()


class ApplyLensResolved(ApplyLensMoved):
    resolved_at = serializers.DateTimeField()


class ApplyLensClosed(ApplyLensMoved):
    closed_at = serializers.DateTimeField()


class ApplyLensAssigned(ApplyLensMoved):
    assigned_to = serializers.CharField(allow_null=True)


class ApplyLensNewIncident(Shape):
    kind = serializers.CharField(help_text=f"One of {', '.join(KINDS)}.")
    key = serializers.CharField(max_length=LONGEST_KEY, help_text="What it is about: one live incident a key.")
    summary = serializers.CharField(max_length=LONGEST_SUMMARY)
    severity = serializers.CharField(required=False, help_text=f"One of {', '.join(SEVERITIES)}; sev3 by default.")
    details = serializers.JSONField(required=False)
    playbooks = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.JSONField(required=False)
    assigned_to = serializers.CharField(required=False, allow_null=True)


class ApplyLensNewIncidents(Shape):
    incidents = ApplyLensNewIncident(many=True)


class ApplyLensSignal(Shape):
    type = serializers.CharField(help_text="invariant, budget or planner; what else belongs to it follows from it.")
    id = serializers.CharField(required=False, help_text="invariant")
    priority = serializers.CharField(required=False, help_text="invariant: critical, high, medium, low")
    failure_message = serializers.CharField(required=False, help_text="invariant")
    agent = serializers.CharField(required=False, help_text="invariant, budget")
    budget_type = serializers.CharField(required=False, help_text="budget: quality, latency, cost, success_rate ...")
    severity = serializers.CharField(required=False, help_text=f"budget: {', '.join(BUDGET)}")
    threshold = serializers.FloatField(required=False, help_text="invariant, budget")
    actual = serializers.FloatField(required=False, help_text="invariant, budget")
    message = serializers.CharField(required=False, help_text="budget")
    version = serializers.CharField(required=False, help_text="planner")
    metric = serializers.CharField(required=False, help_text="planner")
    current = serializers.FloatField(required=False, help_text="planner")
    baseline = serializers.FloatField(required=False, help_text="planner")
    rollback_available = serializers.BooleanField(required=False, help_text="planner")
    source = serializers.CharField(required=False)  # type: ignore[assignment]  # a field of that name
    context = serializers.JSONField(required=False)  # type: ignore[assignment]


class ApplyLensSignals(Shape):
    signals = ApplyLensSignal(many=True)


class ApplyLensRowResult(Shape):
    index = serializers.IntegerField()
    outcome = serializers.CharField(help_text="created, deduplicated, suppressed or invalid")
    id = serializers.IntegerField(required=False)
    error = serializers.JSONField(required=False)


class ApplyLensBulkResult(Shape):
    created = serializers.IntegerField()
    deduplicated = serializers.IntegerField()
    suppressed = serializers.IntegerField()
    invalid = serializers.IntegerField()
    results = ApplyLensRowResult(many=True)


class ApplyLensStreamToken(Shape):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


MAKE_INCIDENTS: Final = PolymorphicProxySerializer(
    component_name="ApplyLensMakeIncidents",
    serializers=[ApplyLensNewIncident, ApplyLensNewIncidents],
    resource_type_field_name=None,
)
REPORT_SIGNALS: Final = PolymorphicProxySerializer(
    component_name="ApplyLensReportSignals",
    serializers=[ApplyLensSignal, ApplyLensSignals],
    resource_type_field_name=None,
)
_KNOWN_OR_MANY: Final = PolymorphicProxySerializer(
    component_name="ApplyLensReported",
    serializers=[ApplyLensIncident, ApplyLensBulkResult],
    resource_type_field_name=None,
)
MADE_INCIDENTS: Final = {201: ApplyLensIncident, 200: _KNOWN_OR_MANY}
