"""Incidents, what was noted about them, and the numbered events that tell of them."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from incidents import action_models, outside_models  # noqa: F401  (their tables belong to this app)

#: one of these at a time for a kind and key
LIVE = ("open", "acknowledged", "mitigated")


class Kind(models.TextChoices):
    INVARIANT = "invariant", "Invariant: something that must hold does not"
    BUDGET = "budget", "Budget: more was used than is allowed"
    PLANNER = "planner", "Planner: a version does worse than the one before"
    BUNDLE = "bundle", "Bundle"
    GATE = "gate", "Gate"


class Severity(models.TextChoices):
    SEV1 = "sev1", "SEV1, critical"
    SEV2 = "sev2", "SEV2, high"
    SEV3 = "sev3", "SEV3, medium"
    SEV4 = "sev4", "SEV4, low"


class Status(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    MITIGATED = "mitigated", "Mitigated"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"


class Incident(models.Model):
    """One incident. ``key`` says what it is about: while one is live, the same thing seen again makes no second.

    Its status is moved by ``services.lifecycle`` only, by compare-and-set.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="incidents", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.CharField(max_length=128)
    #: digest of tenant, kind and key: what ingestion looks rows up by. No other index could serve these look-ups, so
    #: that a plan made while the table is empty, or was never analysed, is the right one for ever.
    subject = models.UUIDField(editable=False)
    severity = models.CharField(max_length=8, choices=Severity, default="sev3")
    status = models.CharField(max_length=16, choices=Status, default="open")
    summary = models.CharField(max_length=256)
    details: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: what is suggested against it: names of remediation actions and of playbooks, the first first
    playbooks = ArrayField(models.CharField(max_length=128), default=list)
    #: what its maker and its editors said about it; what Sallyport knows itself stands in rows
    metadata: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    issue_url = models.CharField(max_length=512, null=True)
    assigned_to = models.CharField(max_length=128, null=True)
    acknowledged_by = models.CharField(max_length=128, null=True)
    made_by = models.CharField(max_length=300)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    mitigated_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    #: when the next step of the severity's clock is late; None: nothing is awaited, or all of it is noted as late
    next_due_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("subject",),
                condition=models.Q(status__in=("open", "acknowledged", "mitigated")),
                name="one_live_incident_per_key",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=("invariant", "budget", "planner", "bundle", "gate")),
                name="incident_kind_known",
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=("sev1", "sev2", "sev3", "sev4")), name="incident_severity_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status="open", acknowledged_at=None, mitigated_at=None, resolved_at=None, closed_at=None
                )
                | models.Q(
                    status="acknowledged",
                    acknowledged_at__isnull=False,
                    mitigated_at=None,
                    resolved_at=None,
                    closed_at=None,
                )
                | models.Q(status="mitigated", mitigated_at__isnull=False, resolved_at=None, closed_at=None)
                | models.Q(status="resolved", resolved_at__isnull=False, closed_at=None)
                | models.Q(status="closed", closed_at__isnull=False),
                name="incident_status_has_its_time",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "-created_at", "-id"), name="incident_newest"),
            models.Index(fields=("tenant", "status", "-created_at", "-id"), name="incident_by_status"),
            # The flood cap counts the last hour of one key, whatever became of it.
            models.Index(fields=("subject", "created_at"), name="incident_by_subject"),
            models.Index(
                fields=("next_due_at",), condition=models.Q(next_due_at__isnull=False), name="incident_next_due"
            ),
        )

    def __str__(self) -> str:
        return f"{self.pk}: {self.summary}"

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class Note(models.Model):
    """One line of an incident's timeline. ``verb``: what was done (acknowledge, resolve, ..., issue, edit)."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes", db_index=False)
    verb = models.CharField(max_length=16)
    by = models.CharField(max_length=300)
    at = models.DateTimeField()
    text = models.TextField(blank=True)

    class Meta:
        indexes = (models.Index(fields=("incident", "id"), name="note_of_incident"),)

    def __str__(self) -> str:
        return f"{self.verb} by {self.by}"


class Breach(models.Model):
    """A step of the severity's clock that came late or not at all. ``breached_at``: when that was noticed."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="breaches", db_index=False)
    phase = models.CharField(max_length=16)
    severity = models.CharField(max_length=8, choices=Severity)
    due_at = models.DateTimeField()
    breached_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "breaches"
        constraints = (
            models.UniqueConstraint(fields=("incident", "phase"), name="one_breach_per_phase"),
            models.CheckConstraint(
                condition=models.Q(phase__in=("acknowledge", "mitigate", "resolve")), name="breach_phase_known"
            ),
        )
        indexes = (models.Index(fields=("tenant", "-breached_at"), name="breach_newest"),)

    def __str__(self) -> str:
        return f"{self.phase} of {self.incident_id}"


class EventCounter(models.Model):
    """The last number a tenant's events have. Its row is locked last in every transaction (RULINGS 44)."""

    tenant = models.OneToOneField("accounts.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+")
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


class IncidentEvent(models.Model):
    """What subscribers of a tenant are told: incident_created, incident_updated, action_executed.

    Numbers of one tenant grow in the order of commits, so that a stream resumes by number without a gap.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.BigIntegerField()
    type = models.CharField(max_length=32)
    data: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "number"), name="one_event_per_number"),)
        indexes = (models.Index(fields=("at",), name="incident_event_age"),)

    def __str__(self) -> str:
        return f"{self.number}: {self.type}"


class AnsweredRequest(models.Model):
    """The answer to a request that named a key, kept for a day so that its repetition gets the same one."""

    #: SHA-256 of tenant, family, route and the caller's key
    key = models.CharField(max_length=64, primary_key=True)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("created_at",), name="answered_request_age"),)

    def __str__(self) -> str:
        return self.key
