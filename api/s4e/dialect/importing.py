"""Imports CACAO documents: our own exports come back as S4E playbooks, everything else is kept as CACAO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction

from api.s4e.dialect import restoring, storing
from api.s4e.dialect.exporting import Identity
from api.s4e.dialect.faults import PlaybookInvalid
from api.s4e.dialect.restoring import Restored
from api.s4e.dialect.shapes import Shape, inputs_of, shape_of
from core import strict_json
from core.actors import Actor
from executions.importing import catalogue_of
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Finding, Imported, Severity, Workflow
from playbooks.cards import card_of, shown_steps
from playbooks.selectors import find_by_cacao_id
from playbooks.services import as_json, new_cacao_id, refuse, slug_for, store_imported

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import PlaybookVersion

DRY_RUN = "dry_run"


@dataclass(frozen=True)
class Converted:
    """An accepted document. ``restored``: it is an export of ours; else it stays CACAO, shown as ``shape``."""

    octets: bytes
    imported: Imported
    restored: Restored | None
    shape: Shape
    warnings: tuple[str, ...]

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [as_json(finding) for finding in self.imported.findings]


def without_dry_run(octets: bytes) -> tuple[bytes, bool]:
    """Return the document without the ``dry_run`` at its root, and what that said.

    The octets change only where there was one. Raises JsonInvalid, PlaybookInvalid.
    """
    document = strict_json.loads(octets, allow_nul=True)
    if not isinstance(document, dict) or DRY_RUN not in document:
        return octets, False
    dry_run = document.pop(DRY_RUN)
    if not isinstance(dry_run, bool):
        raise PlaybookInvalid.at(DRY_RUN, "Must be true or false.")
    return strict_json.dumps(document), dry_run


def convert(*, tenant: Tenant, octets: bytes, now: datetime) -> Converted:
    """Read a CACAO document at the tenant's level. Raises PlaybookRefused with the findings; stores nothing."""
    imported = import_document(octets, level=tenant.import_level, catalogue=catalogue_of(tenant), now=now)
    refuse(imported)
    assert imported.workflow is not None
    document, known = imported.document, storing.references()
    identity = Identity(
        cacao_id=card_of(document).cacao_id, public_id="", tenant_id=tenant.id, created_at=now, modified_at=now,
        public_url="",
    )  # fmt: skip
    restored, why_not = restoring.restore(document, references=known, identity=identity)
    if restored is not None:
        return Converted(octets, imported, restored, Shape(tuple(restored.body["steps"])), ())
    workflow = restoring.with_operations(imported.workflow, document, known)
    shape = shape_of(workflow, document)
    told = [f"{finding.pointer}: {finding.message}" for finding in imported.findings if _is_warning(finding)]
    warnings = (
        *shape.warnings,
        *told,
        *([f"The document is an export of an S4E playbook, but {why_not}."] if why_not else []),
    )
    return Converted(octets, replace(imported, workflow=workflow), None, shape, warnings)


@transaction.atomic
def store(converted: Converted, *, tenant: Tenant, actor: Actor, now: datetime) -> PlaybookVersion:
    """Store what ``convert`` read; an id that the tenant has already becomes a copy with a new one.

    Raises NameTaken, NameUnusable.
    """
    if converted.restored is None:
        return store_imported(
            tenant=tenant, octets=converted.octets, imported=converted.imported, mode="copy", actor=actor, now=now
        )
    document, restored = converted.imported.document, converted.restored
    origin = card_of(document).cacao_id
    is_copy = find_by_cacao_id(tenant, origin) is not None
    given = document.get("derived_from")
    earlier = tuple(item for item in given if isinstance(item, str)) if isinstance(given, list) else ()
    return storing.put(
        tenant=tenant,
        octets=strict_json.dumps(restored.body),
        playbook=restored.playbook,
        workflow=restored.workflow,
        cacao_id=new_cacao_id() if is_copy else origin,
        derived_from=(*earlier, origin) if is_copy else earlier,
        actor=actor,
        now=now,
    )


def preview(converted: Converted) -> dict[str, Any]:
    """Return the playbook that an import would make, in the shape of the detail answer."""
    restored = converted.restored
    if restored is not None:
        body = storing.body_of(restored.body, trigger=restored.playbook.trigger)
        count = len(restored.playbook.steps)
    else:
        assert converted.imported.workflow is not None
        body = cacao_body(converted.imported.document, converted.imported.workflow, converted.shape)
        count = shown_steps(converted.imported.workflow)
    return {"id": f"pb-{slug_of_name(converted)}", **body, "step_count": count, "created_at": None, "updated_at": None}


def slug_of_name(converted: Converted) -> str:
    """Return the slug that the playbook would have. Raises NameUnusable when its name has none."""
    return slug_for(card_of(converted.imported.document).name)


def cacao_body(document: Mapping[str, Any], workflow: Workflow, shape: Shape) -> dict[str, Any]:
    """Return a CACAO playbook in the fields of an S4E one."""
    card = card_of(document)
    return {
        "name": card.name,
        "version": card.version_label,
        "description": card.description,
        "trigger": {"event": "manual", "conditions": {}},
        "steps": list(shape.steps),
        "on_failure": "abort",
        "timeout_minutes": None,
        "tags": list(card.tags),
        "inputs": inputs_of(workflow),
    }


def _is_warning(finding: Finding) -> bool:
    return finding.severity == Severity.WARNING and not finding.suppressed
