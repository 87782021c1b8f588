"""Storing playbooks that a family writes in a dialect of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import Tenant
from core import strict_json
from core.actors import Actor
from playbooks import sealing
from playbooks.cacao.types import Workflow
from playbooks.cards import started_playbooks
from playbooks.models import Playbook, PlaybookVersion
from playbooks.services.rows import as_column, insert_playbook
from playbooks.services.triggers import set_document_trigger


@transaction.atomic
def store_dialect(
    *,
    tenant: Tenant,
    octets: bytes,
    dialect: str,
    workflow: Workflow,
    slug: str,
    name: str,
    description: str,
    label: str,
    trigger: Mapping[str, Any],
    tags: Sequence[str],
    step_count: int,
    cacao_id: str,
    actor: Actor,
    now: datetime,
    derived_from: Sequence[str] = (),
    listed: bool = True,
) -> PlaybookVersion:
    """Store a new playbook written in a family's own dialect, already checked and compiled by that family.

    ``trigger`` is ``{"event", "conditions", "cron"?}`` or empty.
    ``listed`` False: it is found in no list, and its name is not taken. Raises NameTaken when the tenant has the slug.
    """
    playbook = insert_playbook(
        Playbook(
            tenant=tenant, slug=slug, cacao_id=cacao_id, name=name, description=description, dialect=dialect,
            version_label=label, trigger=dict(trigger), tags=list(tags), step_count=step_count,
            derived_from=list(derived_from), starts=list(started_playbooks(workflow)), is_listed=listed,
            created_at=now, updated_at=now,
        )
    )  # fmt: skip
    version = PlaybookVersion.objects.create(
        playbook=playbook, tenant=tenant, number=1, label=label, dialect=dialect, document=octets,
        jcs_digest=strict_json.digest(sealing.parsed(octets)), workflow=as_column(workflow), modified_at=now,
        created_at=now, created_by=actor.name[:300], created_by_person=actor.person,
    )  # fmt: skip
    set_document_trigger(playbook, trigger)
    return version
