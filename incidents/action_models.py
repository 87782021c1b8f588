"""Remediation actions: what was tried and done against an incident."""

from __future__ import annotations

from typing import Any

from django.db import models


class ActionStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    DRY_RUN_SUCCESS = "dry_run_success", "Dry run: would be done"
    DRY_RUN_FAILED = "dry_run_failed", "Dry run: would fail"
    RUNNING = "running", "Running"
    SUCCESS = "success", "Success"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ActionRun(models.Model):
    """One dry run, execution or rollback of a remediation action. Ids of all three come from one sequence."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+")
    incident = models.ForeignKey(
        "incidents.Incident", on_delete=models.PROTECT, related_name="action_runs", db_index=False
    )
    action_type = models.CharField(max_length=64)
    params: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    dry_run = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=ActionStatus, default="pending")
    #: who let it happen, as given; and who called
    approved_by = models.CharField(max_length=254, null=True)
    caller: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    message = models.TextField(blank=True)
    details: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    changes: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    #: seconds, and US dollars
    estimated_duration = models.FloatField(default=0)
    estimated_cost = models.FloatField(default=0)
    actual_duration = models.FloatField(null=True)
    logs_url = models.CharField(max_length=2000, null=True)
    #: what undoes it: {"action_type", "params"}; None where nothing does
    compensation: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    rollback_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="rollbacks")
    #: the rollback that succeeded
    rolled_back_by = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="+")
    execution = models.OneToOneField(
        "executions.Execution", on_delete=models.SET_NULL, null=True, related_name="action_run"
    )
    #: SHA-256 of tenant, family, route and the caller's key; and of the body
    start_key = models.CharField(max_length=64, null=True)
    start_digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("start_key",), condition=models.Q(start_key__isnull=False), name="one_action_per_start_key"
            ),
            # Two rollbacks at once: one of them runs.
            models.UniqueConstraint(
                fields=("rollback_of",),
                condition=models.Q(status__in=("pending", "running", "success")),
                name="one_live_rollback",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=(
                        "pending", "dry_run_success", "dry_run_failed", "running", "success", "failed", "cancelled"
                    )
                ),
                name="action_status_known",
            ),
            models.CheckConstraint(
                condition=models.Q(dry_run=True, status__in=("dry_run_success", "dry_run_failed"))
                | models.Q(dry_run=False, status__in=("pending", "running", "success", "failed", "cancelled")),
                name="action_dry_run_fits_status",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=("pending", "running"), completed_at__isnull=True)
                | models.Q(
                    status__in=("dry_run_success", "dry_run_failed", "success", "failed", "cancelled"),
                    completed_at__isnull=False,
                ),
                name="action_final_iff_completed",
            ),
        )  # fmt: skip
        indexes = (
            models.Index(fields=("incident", "id"), name="action_of_incident"),
            models.Index(
                fields=("created_at",), condition=models.Q(status__in=("pending", "running")), name="action_live"
            ),
            models.Index(fields=("created_at",), condition=models.Q(start_key__isnull=False), name="action_start_keys"),
        )

    def __str__(self) -> str:
        return f"{self.action_type} {self.pk}"
