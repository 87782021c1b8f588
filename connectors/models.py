"""A tenant's connections: where a connector may go, and with which secrets."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from connectors import key_models, toolkit_models  # noqa: F401  (their tables belong to this app)
from connectors.fin import models as fin_models  # noqa: F401  (so do these)
from core.models import UUIDModel


class Connection(UUIDModel):
    """Stored settings of one outside system. Secrets are sealed (``core.secrets``) and never shown again."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="connections")
    kind = models.CharField(
        max_length=32,
        help_text="Which connector uses it, such as http, ssh or slack.",
    )
    name = models.CharField(max_length=128)
    url = models.CharField(max_length=2000, help_text="Base address; steps may fill in the path, never the host.")
    settings: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    is_keyed = models.BooleanField(
        default=False, help_text="The far side honours the Idempotency-Key header, so calls may be repeated."
    )
    allow_networks = ArrayField(
        models.CharField(max_length=64),
        default=list,
        blank=True,
        help_text="Private networks (CIDR) it may reach, inside the deployment's ALLOW_NETWORKS.",
    )
    hosts = ArrayField(
        models.CharField(max_length=255),
        default=list,
        blank=True,
        help_text="Further hosts its secret may be sent to. The host of the address is always on the list.",
    )
    #: field name -> sealed record, base64 text
    sealed_secrets: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, editable=False)
    is_enabled = models.BooleanField(default=True)
    last_error = models.CharField(max_length=300, blank=True)
    #: of an account that was connected by logging on at the vendor: the vendor's id of it
    vendor_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    status = models.CharField(
        max_length=16,
        default="active",
        db_default="active",
        help_text="active; expired: refused by the vendor; revoked.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When its token ends, if that is known.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: keys of the calls for which its token was last refreshed, and by which it was last refused
    refreshed_key = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    refused_key = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="one_connection_per_name"),
            models.UniqueConstraint(
                fields=("tenant", "kind", "vendor_id"),
                condition=~models.Q(vendor_id=""),
                name="one_connection_per_vendor_id",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=("active", "expired", "revoked")), name="connection_status_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"
