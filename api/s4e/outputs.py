"""What this family answers about playbooks: keys, ids and times as the contract has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from api.s4e import ids
from api.s4e.dialect import exporting, importing, storing
from api.s4e.dialect.exporting import Identity
from api.s4e.dialect.importing import Converted
from api.s4e.dialect.shapes import shape_of
from core import strict_json
from playbooks import selectors
from playbooks.models import Playbook, PlaybookVersion

MANUAL = {"event": "manual", "conditions": {}}


def time(moment: datetime | None) -> str | None:
    """UTC, whole seconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def list_item(playbook: Playbook) -> dict[str, Any]:
    return {
        "id": ids.playbook_id(playbook),
        "name": playbook.name,
        "version": playbook.version_label,
        "description": playbook.description,
        "trigger": playbook.trigger or MANUAL,
        "step_count": playbook.step_count,
        "tags": playbook.tags,
        "created_at": time(playbook.created_at),
        "updated_at": time(playbook.updated_at),
    }


def created(playbook: Playbook) -> dict[str, Any]:
    """Exactly these keys [S]."""
    return {
        "id": ids.playbook_id(playbook),
        "name": playbook.name,
        "version": playbook.version_label,
        "step_count": playbook.step_count,
        "created_at": time(playbook.created_at),
    }


def detail(playbook: Playbook) -> dict[str, Any]:
    version = selectors.latest_version(playbook)
    if version.dialect == storing.DIALECT:
        body = storing.body_of(selectors.parsed_document(version), trigger=playbook.trigger or MANUAL)
    else:
        document = strict_json.loads(_cacao_octets(version, reveal=False), allow_nul=True)
        workflow = selectors.workflow_of(version)
        body = importing.cacao_body(document, workflow, shape_of(workflow, document))
    return {
        "id": ids.playbook_id(playbook),
        **body,
        "step_count": playbook.step_count,
        "created_at": time(playbook.created_at),
        "updated_at": time(playbook.updated_at),
    }


def imported(playbook: Playbook, converted: Converted) -> dict[str, Any]:
    return {**created(playbook), "warnings": list(converted.warnings), "findings": converted.findings}


def preview(converted: Converted, *, is_taken: bool) -> dict[str, Any]:
    shown = importing.preview(converted)
    warnings = list(converted.warnings)
    if is_taken:
        warnings.append(f"The name is taken: there is a playbook {shown['id']} already. Import it under another name.")
    return {**shown, "warnings": warnings, "findings": converted.findings, "dry_run": True}


def cacao(version: PlaybookVersion, *, reveal: bool) -> bytes:
    """Return a version as a CACAO document: as it came, or written from the S4E dialect."""
    if version.dialect == storing.DIALECT:
        return written_as_cacao(version)
    return _cacao_octets(version, reveal=reveal)


def written_as_cacao(version: PlaybookVersion) -> bytes:
    """Return the CACAO document of a version of the S4E dialect; always the same octets."""
    playbook = version.playbook
    identity = Identity(
        cacao_id=playbook.cacao_id,
        public_id=ids.playbook_id(playbook),
        tenant_id=version.tenant_id,
        created_at=playbook.created_at,
        modified_at=version.modified_at,
        public_url=settings.SALLYPORT_PUBLIC_URL,
        derived_from=playbook.derived_from,
    )
    document = selectors.parsed_document(version)
    return strict_json.dumps(exporting.export(document, selectors.workflow_of(version), identity))


def _cacao_octets(version: PlaybookVersion, *, reveal: bool) -> bytes:
    return selectors.document_of(version, reveal=reveal)
