"""What toolkits need beside connections: how a tenant gets tokens, who signs, what was done, and when to hold back."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from core.models import UUIDModel


class ToolkitApp(UUIDModel):
    """A tenant's OAuth 2 client at a vendor: with it people connect accounts by logging on there."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="toolkit_apps")
    toolkit = models.CharField(max_length=32, help_text="stripe, shopify, okta, slack, jira or square.")
    client_id = models.CharField(max_length=500, help_text="As the vendor gave it for this client.")
    sealed_client_secret = models.TextField(blank=True, editable=False)
    authorize_url = models.CharField(max_length=2000, help_text="Where people log on, without a query.")
    token_url = models.CharField(max_length=2000, help_text="Where a code is exchanged and a token refreshed.")
    api_url = models.CharField(max_length=2000, help_text="Base address of the API that the tokens are for.")
    scopes = models.CharField(max_length=2000, blank=True, help_text="What is asked for, words separated by spaces.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "toolkit"), name="one_app_per_toolkit"),)

    def __str__(self) -> str:
        return f"{self.toolkit}: {self.client_id}"


class ConnectState(UUIDModel):
    """One log-on under way: good once, and for ten minutes."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+")
    app = models.ForeignKey(ToolkitApp, on_delete=models.CASCADE, related_name="+")
    sealed_verifier = models.TextField(editable=False)  # of PKCE
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"connecting {self.app_id}"


class SoarSettings(models.Model):
    """How a tenant's signed actions are checked. Without a secret of its own, SOAR_WEBHOOK_SECRET signs for it."""

    tenant = models.OneToOneField(
        "accounts.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="soar_settings"
    )
    sealed_secret = models.TextField(blank=True, editable=False)
    #: the one before, good until ``old_secret_until``
    sealed_old_secret = models.TextField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    require_timestamp = models.BooleanField(
        default=False,
        help_text="Refuse a signed action without X-SOAR-Timestamp under its signature (the raw form, in a header).",
    )

    class Meta:
        verbose_name = verbose_name_plural = "signed actions"

    def __str__(self) -> str:
        return f"signed actions of {self.tenant_id}"


class ToolkitBreaker(models.Model):
    """Counts the actions of a tenant's toolkit that ended failed, in a row."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+")
    toolkit = models.CharField(max_length=32)
    failures = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Open: nothing is called before this time.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "toolkit"), name="one_breaker_per_toolkit"),)

    def __str__(self) -> str:
        return f"{self.toolkit}: {self.failures} in a row"


class ToolkitCall(UUIDModel):
    """The audit of one action: what was asked, what came of it. Refused requests have a row too; nothing is deleted.

    Executions are named by their ids: what runs stands above connections.
    """

    class Status(models.TextChoices):
        SUCCESS = "success", "success"
        FAILED = "failed", "failed: for a person to look at"
        RETRYING = "retrying", "retrying"
        REFUSED = "refused", "refused"
        SKIPPED = "skipped", "skipped"

    #: None: the request named a tenant that is not there
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="toolkit_calls", null=True)
    action_id = models.CharField(max_length=16, blank=True)
    execution_ref = models.CharField(max_length=256, blank=True, help_text="As Olorin names it: exec_...")
    #: of the execution the action belongs to; None where the request named none that exists
    execution_id = models.UUIDField(null=True)
    #: of the one-step execution that carries out a signed action; None for a step of the execution itself
    run_id = models.UUIDField(null=True)
    step_run_id = models.UUIDField(null=True)
    #: of a signed action: what makes two requests the same
    digest = models.CharField(max_length=64, blank=True)
    toolkit_name = models.CharField(max_length=32)
    action_name = models.CharField(max_length=64)
    connection_id = models.UUIDField(null=True)
    parameters: models.JSONField[Any, Any] = models.JSONField(default=dict)
    result: models.JSONField[Any, Any] = models.JSONField(null=True)
    status = models.CharField(max_length=16, choices=Status.choices)
    retry_count = models.PositiveSmallIntegerField(default=0)
    error_message = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    executed_at = models.DateTimeField(null=True)  # its last try

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("step_run_id",), name="one_call_per_step_run"),
            models.UniqueConstraint(fields=("run_id",), name="one_call_per_run"),
            models.CheckConstraint(
                condition=Q(status__in=("success", "failed", "retrying", "refused", "skipped")),
                name="toolkit_call_status_known",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "-requested_at", "id"), name="toolkit_call_newest"),
            models.Index(fields=("execution_id", "digest"), name="toolkit_call_of_execution"),
        )

    def __str__(self) -> str:
        return f"{self.toolkit_name} {self.action_name}: {self.status}"
