"""Systems beside Sallyport that incidents come from and are told to."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from core.models import UUIDModel


class Provider(models.TextChoices):
    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    JIRA = "jira", "Jira"


class IssueTracker(UUIDModel):
    """Where a tenant's incidents get an issue. Its token is sealed and never shown again."""

    tenant = models.OneToOneField("accounts.Tenant", on_delete=models.CASCADE, related_name="issue_tracker")
    provider = models.CharField(max_length=16, choices=Provider)
    #: github: owner, repo; gitlab: project_id; jira: base_url, email, project_key, issue_type
    config: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict,
        blank=True,
        help_text='GitHub: {"owner", "repo"}. GitLab: {"project_id"}. Jira: {"base_url", "email", "project_key", '
        '"issue_type"}. GitHub and GitLab of your own: "base_url".',
    )
    sealed_token = models.TextField(blank=True, editable=False)
    allow_networks: models.JSONField[list[str], list[str]] = models.JSONField(
        default=list, blank=True, help_text='Private networks the tracker may stand in, such as ["10.1.0.0/16"].'
    )
    is_enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.get_provider_display()} of {self.tenant}"


class IssueTask(UUIDModel):
    """Something to be said to the tracker, written in the transaction of what it tells of."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+")
    incident = models.ForeignKey(
        "incidents.Incident", on_delete=models.CASCADE, related_name="issue_tasks", db_index=False
    )
    verb = models.CharField(max_length=16)  # open, resolve
    text = models.TextField(blank=True)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    #: done, or given up
    ended_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("incident", "verb"), name="one_issue_task_per_verb"),
            models.CheckConstraint(condition=models.Q(verb__in=("open", "resolve")), name="issue_task_verb_known"),
        )
        indexes = (models.Index(fields=("due_at",), condition=models.Q(ended_at=None), name="issue_task_due"),)

    def __str__(self) -> str:
        return f"{self.verb} {self.incident_id}"


class SignalSource(UUIDModel):
    """An address that a tenant's signals are pulled from: ``GET url`` answers ``{"signals": [...]}``."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="signal_sources")
    name = models.CharField(max_length=100)
    url = models.URLField(max_length=2000)
    sealed_token = models.TextField(blank=True, editable=False)
    allow_networks: models.JSONField[list[str], list[str]] = models.JSONField(
        default=list, blank=True, help_text='Private networks the source may stand in, such as ["10.1.0.0/16"].'
    )
    period_seconds = models.PositiveIntegerField(
        default=60,
        validators=(MinValueValidator(1), MaxValueValidator(86_400)),
        help_text="How often it is asked, 1 to 86,400.",
    )
    is_enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it is asked at once.")
    last_pulled_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="one_signal_source_per_name"),
            models.CheckConstraint(
                condition=models.Q(period_seconds__gte=1, period_seconds__lte=86_400), name="signal_source_period"
            ),
        )

    def __str__(self) -> str:
        return self.name
