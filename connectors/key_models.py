"""SSH keys of a tenant, which playbooks name and nobody is ever shown."""

from __future__ import annotations

from django.db import models

from core.models import UUIDModel


class ManagedKey(UUIDModel):
    """A key pair that ``kms_key_identifier`` names. The private key and its passphrase are sealed."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="managed_keys")
    name = models.CharField(max_length=128)
    public = models.TextField()
    #: private_key, passphrase -> sealed record, base64 text
    sealed_secrets: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "name"), name="one_managed_key_per_name"),)

    def __str__(self) -> str:
        return self.name
