"""Taking a CACAO document in: the import is told what exists here, and what it accepts is stored.

The composition stands here because `playbooks` and `connectors` do not know each other (RULINGS 14).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from connectors import registry
from connectors import selectors as connectors
from connectors.fin import selectors as fins
from core.actors import Actor
from manual import policies
from playbooks import selectors as playbooks
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Catalogue, Imported, OperationInfo
from playbooks.services import Mode, store_imported

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import PlaybookVersion


def catalogue_of(tenant: Tenant) -> Catalogue:
    """Return what a playbook of this tenant may name: operations, command types, playbooks, connections."""
    known, children = playbooks.catalogue_facts(tenant)
    operations = {
        spec.name: OperationInfo(
            name=spec.name,
            effect=spec.effect.value,
            reference=spec.reference,
            parameters=spec.inputs,
            destructive=spec.destructive,
        )
        for spec in registry.operations().values()
    }
    named = [(spec.name, spec.reference) for spec in registry.operations().values()]
    return Catalogue(
        operations=operations,
        command_types=registry.command_types(),
        fin_capabilities=fins.keys_of(tenant.pk),
        playbooks=known,
        children=children,
        connections=connectors.list_names(tenant.id),
        approved=policies.always_asked(tenant_id=tenant.id, operations=named),
    )


@transaction.atomic
def import_playbook(
    *,
    tenant: Tenant,
    octets: bytes,
    mode: Mode,
    actor: Actor,
    now: datetime,
    level: str | None = None,
    listed: bool = True,
) -> tuple[PlaybookVersion, Imported]:
    """Import one document and store it; return the version and all that the import has to say.

    ``level`` is ``strict`` or ``lenient``, None the tenant's own. Raises what `store_imported` raises: PlaybookRefused
    with the findings, PlaybookExists, VersionConflict, NameTaken, NameUnusable.
    """
    imported = import_document(octets, level=level or tenant.import_level, catalogue=catalogue_of(tenant), now=now)
    version = store_imported(
        tenant=tenant, octets=octets, imported=imported, mode=mode, actor=actor, now=now, listed=listed
    )
    return version, imported
