"""What operators do to stored playbooks and assets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import Tenant
from playbooks.models import Asset, Playbook


@transaction.atomic
def set_enabled(*, playbook: Playbook, enabled: bool, now: datetime) -> Playbook:
    """Switch a playbook on or off: a disabled one is listed and read, but not run."""
    playbook.is_enabled, playbook.updated_at = enabled, now
    playbook.save(update_fields=["is_enabled", "updated_at"])
    return playbook


@transaction.atomic
def archive_playbook(*, playbook: Playbook, now: datetime) -> Playbook:
    """Take a playbook out of every list and switch its triggers off; its executions stay, and its id is free again."""
    playbook.archived_at = playbook.updated_at = now
    playbook.save(update_fields=["archived_at", "updated_at"])
    playbook.triggers.update(is_enabled=False, next_due_at=None)
    return playbook


def put_asset(*, tenant: Tenant, reference: str, data: Mapping[str, Any]) -> Asset:
    """Make or replace an asset that playbooks can be run on."""
    asset, _ = Asset.objects.update_or_create(tenant=tenant, reference=reference, defaults={"data": dict(data)})
    return asset
