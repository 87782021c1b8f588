"""Reads of fins and their jobs. Every query starts from the tenant, or from a token."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from connectors.base import EffectClass
from connectors.fin.models import Fin, FinCapability, FinRule, FinToken, FinTransport
from core.errors import NotFound

if TYPE_CHECKING:
    from accounts.models import Tenant


class FinNotFound(NotFound):
    code = "fin_not_found"


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def list_fins(tenant: Tenant) -> QuerySet[Fin]:
    """Return the registered fins, the newest first."""
    return _registered(tenant.id).prefetch_related("capabilities").order_by("-registered_at", "-id")


def get_fin(tenant: Tenant, fin_id: UUID) -> Fin:
    """Raises FinNotFound, also for another tenant's."""
    found = list_fins(tenant).filter(pk=fin_id).first()
    if found is None:
        raise FinNotFound("There is no such fin.")
    return found


def fin_of_token(token: str) -> Fin | None:
    """Return the fin whose token this is; None for an unknown one and where the tenant is closed."""
    found = Fin.objects.select_related("tenant").filter(digest=digest_of(token), tenant__is_active=True)
    return found.first()


def tenant_of_registration(token: str) -> UUID | None:
    found = FinToken.objects.filter(digest=digest_of(token), tenant__is_active=True).values_list("tenant_id", flat=True)
    return found.first()


def is_registration_possible() -> bool:
    return FinToken.objects.exists()


def capabilities_of(tenant_id: UUID) -> QuerySet[FinCapability]:
    """Return what the tenant's fins can do, whether they are there or not."""
    found = FinCapability.objects.select_related("fin").filter(tenant_id=tenant_id, fin__removed_at=None)
    return found.order_by("transport", "key", "-fin__seen_at", "id")


def keys_of(tenant_id: UUID) -> frozenset[str]:
    """Return the names and types that agents of this tenant may have to be fins, for the catalogue of an import."""
    return frozenset(capabilities_of(tenant_id).values_list("key", flat=True))


def effect_of(tenant_id: UUID, key: str) -> EffectClass:
    rule = FinRule.objects.filter(tenant_id=tenant_id, capability=key).values_list("effect", flat=True).first()
    return EffectClass(rule or "unsafe")


def stale_after() -> timedelta:
    found: timedelta = settings.FIN_LONG_POLL_TIMEOUT * settings.FIN_STALE_AFTER_MULTIPLIER
    return found


def is_live(fin: Fin, *, now: datetime) -> bool:
    """Whether a fin would take a job: over HTTP it was seen lately, over MQTT it let no command go unanswered."""
    if fin.removed_at is not None:
        return False
    if fin.transport == FinTransport.MQTT:
        return fin.gone_at is None
    return now - fin.seen_at <= stale_after()


def _registered(tenant_id: UUID) -> QuerySet[Fin]:
    return Fin.objects.filter(tenant_id=tenant_id, removed_at=None)
