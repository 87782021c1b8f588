"""Writes of fins: registered, seen, paused, unregistered. Tokens come out once and are stored as digests."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction

from connectors.fin import selectors
from connectors.fin.models import Fin, FinCapability, FinToken, FinTransport
from core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from accounts.models import Tenant

TOKEN_PREFIX: Final = "fin_"  # noqa: S105 (what all of them begin with)
#: characters of a registration token: fewer could be guessed
SHORTEST_TOKEN: Final = 16
#: how long a fin that was unregistered is told so
FAREWELL: Final = timedelta(hours=1)


class TokenTooShort(Invalid):
    code = "token_too_short"


class CapabilityTaken(Conflict):
    """Another fin that is there has this topic."""

    code = "capability_taken"


@dataclass(frozen=True)
class Capability:
    """What a fin can do. ``key``: its type; over MQTT its id, which is its topic. ``given``: as the fin said it."""

    key: str
    name: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


def set_registration_token(*, tenant: Tenant, token: str, now: datetime) -> FinToken:
    """Let fins register with ``token`` for this tenant; the one before holds no more. Raises TokenTooShort."""
    check_token(token)
    digest = selectors.digest_of(token)
    if FinToken.objects.filter(digest=digest).exclude(tenant=tenant).exists():
        raise TokenTooShort("This token cannot be used. Choose another.")
    found, _ = FinToken.objects.update_or_create(tenant=tenant, defaults={"digest": digest, "changed_at": now})
    return found


def check_token(token: str) -> None:
    """Raises TokenTooShort."""
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenTooShort(f"A token has {SHORTEST_TOKEN} printable ASCII characters or more, and no spaces.")


@transaction.atomic
def register_http(
    *,
    tenant_id: UUID,
    display_name: str,
    protocol_version: str,
    capabilities: Sequence[Capability],
    now: datetime,
) -> tuple[Fin, str]:
    """Register a fin that polls; return it and its token, which is known at this moment only."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    fin = Fin.objects.create(
        tenant_id=tenant_id, transport=FinTransport.HTTP, display_name=display_name, registered_at=now, seen_at=now,
        protocol_version=protocol_version, digest=selectors.digest_of(token),
    )  # fmt: skip
    _add_capabilities(fin, capabilities)
    return fin, token


@transaction.atomic
def register_mqtt(
    *,
    tenant_id: UUID,
    name: str,
    display_name: str,
    protocol_version: str,
    capabilities: Sequence[Capability],
    now: datetime,
) -> Fin:
    """Register a fin by the name it gives itself; the same name again replaces what was registered before.

    Raises CapabilityTaken for a topic that another fin serves; one that is gone gives it up.
    """
    fin, _ = Fin.objects.select_for_update().get_or_create(
        tenant_id=tenant_id, transport=FinTransport.MQTT, name=name, defaults={"registered_at": now, "seen_at": now}
    )
    wanted = [capability.key for capability in capabilities]
    others = FinCapability.objects.select_related("fin").filter(
        tenant_id=tenant_id, transport=FinTransport.MQTT, key__in=wanted
    )
    for other in others.exclude(fin=fin):
        if selectors.is_live(other.fin, now=now):
            raise CapabilityTaken(f"The capability {other.key!r} is held by another fin.")
        other.delete()
    fin.capabilities.all().delete()
    fin.display_name, fin.protocol_version = display_name, protocol_version
    fin.registered_at = fin.seen_at = now
    fin.gone_at = fin.removed_at = None
    fin.save()
    _add_capabilities(fin, capabilities)
    return fin


def _add_capabilities(fin: Fin, capabilities: Sequence[Capability]) -> None:
    by_key = {capability.key: capability for capability in capabilities}
    FinCapability.objects.bulk_create(
        FinCapability(
            fin=fin, tenant_id=fin.tenant_id, transport=fin.transport, key=key, name=capability.name,
            given=dict(capability.given),
        )
        for key, capability in by_key.items()
    )  # fmt: skip


def note_seen(*, fin: Fin, now: datetime) -> None:
    """A fin gave a sign of life."""
    Fin.objects.filter(pk=fin.pk).update(seen_at=now, gone_at=None)


def note_gone(*, fin_id: UUID, now: datetime) -> None:
    """A fin over MQTT let a command go unanswered: nothing more is sent to it until it says something."""
    Fin.objects.filter(pk=fin_id, gone_at=None).update(gone_at=now)


def unregister(*, fin: Fin, now: datetime) -> None:
    """Take a fin out. One over MQTT has to be told, so its row stays until it was."""
    if fin.transport == FinTransport.MQTT:
        Fin.objects.filter(pk=fin.pk).update(removed_at=now)
    else:
        fin.delete()


def forget(*, fin: Fin) -> None:
    """Take a fin out that said itself that it goes, or that was told."""
    fin.delete()


def forget_removed(*, tenant_id: UUID, now: datetime) -> None:
    """Take fins out that were unregistered and never said that they heard of it."""
    removed = Fin.objects.filter(tenant_id=tenant_id, removed_at__lt=now - FAREWELL)
    removed.delete()


def drop_capability(*, capability: FinCapability) -> None:
    """Take one capability out, and the fin with its last one."""
    fin = capability.fin
    capability.delete()
    if not fin.capabilities.exists():
        fin.delete()


def set_paused(*, capability: FinCapability, paused: bool) -> None:
    FinCapability.objects.filter(pk=capability.pk).update(is_paused=paused)
