"""Where a tenant is told of the start and end of its executions."""

from __future__ import annotations

from core.keyring import keyring
from core.secrets import SecretContext, seal
from executions.models import WebhookTarget


def set_webhook_secret(*, target: WebhookTarget, secret: str) -> WebhookTarget:
    """Seal the secret that webhooks to this target are signed with; "" takes it away. It is never shown again."""
    sealed = seal(secret, context=secret_context(target), keyring=keyring()) if secret else ""
    WebhookTarget.objects.filter(pk=target.pk).update(sealed_secret=sealed)
    target.sealed_secret = sealed
    return target


def secret_context(target: WebhookTarget) -> SecretContext:
    return SecretContext(
        tenant=str(target.tenant_id), table="executions_webhooktarget", row=str(target.pk), field="secret"
    )
