"""The rows of a stored playbook, as every way of storing writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, connection, transaction

from accounts.models import Tenant
from core import strict_json
from playbooks.cacao import stored
from playbooks.cacao.types import Workflow
from playbooks.cards import Card, shown_steps, started_playbooks
from playbooks.models import Playbook
from playbooks.services.errors import NameTaken, PlaybookExists
from playbooks.slugs import slug_of


def insert_playbook(playbook: Playbook) -> Playbook:
    try:
        with transaction.atomic():
            playbook.save(force_insert=True)
    except IntegrityError as error:
        if "one_playbook_per_slug" in str(error):
            raise NameTaken(f"The name is taken: the playbook pb-{playbook.slug} exists already.") from None
        if "one_playbook_per_cacao_id" in str(error):
            raise PlaybookExists(f"The playbook {playbook.cacao_id} is stored already.") from None
        raise
    return playbook


def columns(card: Card, workflow: Workflow) -> dict[str, Any]:
    return {
        "name": card.name,
        "description": card.description,
        "version_label": card.version_label,
        "tags": list(card.tags),
        "step_count": shown_steps(workflow),
        "starts": list(started_playbooks(workflow)),
    }


def free_slug(tenant: Tenant, card: Card) -> str:
    """A slug that no playbook of the tenant has: the name's, else with a number."""
    base = slug_of(card.name)[:110].rstrip("-") or slug_of(card.cacao_id)
    taken = set(
        Playbook.objects.filter(tenant=tenant, slug__startswith=base, archived_at=None, is_listed=True).values_list(
            "slug", flat=True
        )
    )
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def one_at_a_time(tenant: Tenant) -> None:
    """Imports of one tenant wait for each other, so that whoever comes second sees the first one's id and name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"playbooks of {tenant.pk}"])


def as_column(workflow: Workflow) -> str:
    return strict_json.dumps(stored.to_json(workflow)).decode("utf-8")


def storable(value: Any) -> Any:
    """``value`` without U+0000, which jsonb cannot hold; the document keeps it (CACAO.md 13.6)."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, Mapping):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
