"""The secrets that signed actions are checked with: a tenant's own, two while it changes, else the deployment's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from connectors.toolkit_models import SoarSettings
from core.errors import Invalid
from core.keyring import keyring
from core.secrets import Secret, SecretContext, is_masked, open_sealed, seal

if TYPE_CHECKING:
    from accounts.models import Tenant

SHORTEST: Final = 32
OVERLAP: Final = timedelta(hours=1)


class SigningSecretInvalid(Invalid):
    code = "signing_secret_invalid"


def check_secret(secret: str) -> None:
    if len(secret) < SHORTEST or is_masked(secret) or not secret.isprintable():
        raise SigningSecretInvalid(f"A signing secret has {SHORTEST} printable characters or more.")


@transaction.atomic
def set_signing_secret(*, tenant: Tenant, secret: str, now: datetime, overlap: timedelta = OVERLAP) -> SoarSettings:
    """Give the tenant a secret of its own; the one before stays good for ``overlap``. Raises SigningSecretInvalid."""
    check_secret(secret)
    found = SoarSettings.objects.select_for_update().filter(tenant=tenant).first() or SoarSettings(tenant=tenant)
    if found.sealed_secret:
        before = _opened(found, "secret").reveal()
        found.sealed_old_secret = _sealed(found, "old_secret", before)
        found.old_secret_until = now + overlap
    found.sealed_secret = _sealed(found, "secret", secret)
    found.save()
    return found


def settings_of(tenant_id: UUID) -> SoarSettings:
    """Return the tenant's settings; new ones, not stored, where it never had any."""
    return SoarSettings.objects.filter(tenant_id=tenant_id).first() or SoarSettings(tenant_id=tenant_id)


def secrets_for(found: SoarSettings, *, now: datetime) -> list[Secret]:
    """Return the secrets that are good now; none where neither tenant nor deployment has one."""
    if not found.sealed_secret:
        return [Secret(settings.SOAR_WEBHOOK_SECRET)] if settings.SOAR_WEBHOOK_SECRET else []
    secrets = [_opened(found, "secret")]
    if found.sealed_old_secret and found.old_secret_until is not None and now < found.old_secret_until:
        secrets.append(_opened(found, "old_secret"))
    return secrets


def _sealed(found: SoarSettings, field: str, secret: str) -> str:
    return seal(secret, context=_context(found, field), keyring=keyring())


def _opened(found: SoarSettings, field: str) -> Secret:
    record = found.sealed_secret if field == "secret" else found.sealed_old_secret
    return open_sealed(record, context=_context(found, field), keyring=keyring())


def _context(found: SoarSettings, field: str) -> SecretContext:
    return SecretContext(str(found.tenant_id), "connectors_soarsettings", str(found.tenant_id), field)
