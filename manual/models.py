"""Questions to people and their answers."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.models import UUIDModel


class RequestKind(models.TextChoices):
    INPUT = "input", "Do this and give the values"
    APPROVAL = "approval", "Approve or reject"
    DECISION = "decision", "Decide yes or no"
    CHOICE = "choice", "Choose one"


class RequestStatus(models.TextChoices):
    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ManualRequest(UUIDModel):
    """One question put to people by one step run. Answered by one UPDATE; whoever comes second is told so."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="manual_requests")
    execution = models.ForeignKey("executions.Execution", on_delete=models.CASCADE, related_name="manual_requests")
    step_run = models.ForeignKey("executions.StepRun", on_delete=models.CASCADE, related_name="manual_requests")
    step_id = models.CharField(max_length=300)
    playbook_cacao_id = models.CharField(max_length=300)
    kind = models.CharField(max_length=16, choices=RequestKind)
    status = models.CharField(max_length=16, choices=RequestStatus, default="open")
    text = models.TextField(blank=True)
    description = models.TextField(blank=True)
    #: [{"description", "command", "commandb64"}], as SOARCA shows them
    commands: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    #: target id -> target without authentication
    targets: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: variable name -> {type, name, description, value, constant, external}
    out_args: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    choices = ArrayField(models.TextField(), default=list)
    approvers = ArrayField(
        models.TextField(), default=list, help_text="E-mails or roles; empty: whoever has the right."
    )
    requested_at = models.DateTimeField()
    deadline_at = models.DateTimeField(null=True)
    #: what was answered: {"status": "success|failure", "values": {...}, "comment": ""}
    answer: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.CharField(max_length=300, blank=True)
    answered_by_id = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("step_run",), condition=models.Q(status="open"), name="one_open_request_per_step_run"
            ),
            models.CheckConstraint(
                condition=models.Q(status="answered", answered_at__isnull=False)
                | (~models.Q(status="answered") & models.Q(answered_at__isnull=True)),
                name="answered_request_has_a_time",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "requested_at", "id"), condition=models.Q(status="open"), name="open_requests"
            ),
            models.Index(fields=("deadline_at",), condition=models.Q(status="open"), name="open_request_deadlines"),
        )

    def __str__(self) -> str:
        return f"{self.kind} for {self.step_id}"
