"""Storing CACAO documents: one import with three modes (RULINGS 16), and the rules of versions (CACAO.md D30, D31)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, cast
from uuid import uuid4

from django.db import transaction

from accounts.models import Tenant
from core import strict_json
from core.actors import Actor
from core.models import uuid7
from playbooks import sealing
from playbooks.cacao.types import Finding, Imported, Severity, Workflow
from playbooks.cards import Card, card_of
from playbooks.models import Playbook, PlaybookVersion
from playbooks.selectors import find_by_cacao_id, latest_version, parsed_document
from playbooks.services.errors import PlaybookExists, VersionConflict, as_json, refuse, slug_for
from playbooks.services.rows import as_column, columns, free_slug, insert_playbook, one_at_a_time, storable
from playbooks.timestamps import instant_of, moment_of, text_of

Mode = Literal["new", "version", "copy"]
"""What an id that is stored already means: a conflict, another version of it, or a copy with a new id."""


@transaction.atomic
def store_imported(
    *,
    tenant: Tenant,
    octets: bytes,
    imported: Imported,
    mode: Mode,
    actor: Actor,
    now: datetime,
    listed: bool = True,
) -> PlaybookVersion:
    """Store an imported CACAO document; the octets are kept as they are.

    ``listed`` False: for a document that was sent along with its trigger; it is run and never found again by its id.
    Raises PlaybookRefused, PlaybookExists (mode new), VersionConflict (mode version), and in mode copy NameTaken and
    NameUnusable, because there the name makes the public id.
    """
    refuse(imported)
    one_at_a_time(tenant)
    card = card_of(imported.document)
    existing = find_by_cacao_id(tenant, card.cacao_id, lock=True) if listed else None
    if existing is not None and mode == "new":
        raise PlaybookExists(f"The playbook {card.cacao_id} is stored already.")
    if existing is not None and mode == "version":
        return _add_version(existing, octets, imported, card, actor=actor, now=now)
    document = imported.document
    if existing is not None:
        document, octets = copied(document, new_id=new_cacao_id())
        card = card_of(document)
    slug = slug_for(card.name) if mode == "copy" else free_slug(tenant, card)
    playbook = insert_playbook(
        Playbook(
            tenant=tenant, slug=slug, cacao_id=card.cacao_id, dialect="cacao", trigger={}, is_listed=listed,
            derived_from=_texts(document.get("derived_from")), created_at=now, updated_at=now,
            **columns(card, cast(Workflow, imported.workflow)),
        )
    )  # fmt: skip
    version = _insert_cacao_version(playbook, octets, imported, card, number=1, actor=actor, now=now)
    _spread_revocation(playbook)
    return version


def new_cacao_id() -> str:
    return f"playbook--{uuid4()}"


def copied(document: Mapping[str, Any], *, new_id: str) -> tuple[dict[str, Any], bytes]:
    """Return the document under a new id that names its origin, and its octets."""
    origin = [*_texts(document.get("derived_from")), str(document["id"])]
    copy = {**document, "id": new_id, "derived_from": list(dict.fromkeys(origin))}
    return copy, strict_json.dumps(copy)


def _add_version(
    playbook: Playbook, octets: bytes, imported: Imported, card: Card, *, actor: Actor, now: datetime
) -> PlaybookVersion:
    versions = list(playbook.versions.defer("document", "workflow", "findings").order_by("number"))
    same = _same_version(versions, card)
    if same is not None:
        return _again(same, imported.document)
    imported = _checked_origin(versions, imported, card)
    version = _insert_cacao_version(
        playbook, octets, imported, card, number=versions[-1].number + 1, actor=actor, now=now
    )
    if latest_version(playbook).pk == version.pk:
        for name, value in columns(card, cast(Workflow, imported.workflow)).items():
            setattr(playbook, name, value)
        playbook.dialect = "cacao"
    playbook.updated_at = now
    playbook.save()
    _spread_revocation(playbook)
    return version


def _same_version(versions: Sequence[PlaybookVersion], card: Card) -> PlaybookVersion | None:
    if card.modified is None:
        return None
    return next((version for version in versions if instant_of(version.label) == card.modified), None)


def _again(version: PlaybookVersion, document: Mapping[str, Any]) -> PlaybookVersion:
    """The same version once more: nothing to do, but for signatures it did not have (D30)."""
    known = parsed_document(version)
    if strict_json.digest(_unsigned(known)) != strict_json.digest(_unsigned(document)):
        raise VersionConflict(
            f"The version {version.label} of {document.get('id')} is stored with another content. "
            "A changed playbook needs a later `modified`."
        )
    present = {strict_json.digest(signature) for signature in _signatures(known)}
    added = [signature for signature in _signatures(document) if strict_json.digest(signature) not in present]
    if added:
        version.added_signatures = [*version.added_signatures, *added]
        version.save(update_fields=["added_signatures"])
    return version


def _checked_origin(versions: Sequence[PlaybookVersion], imported: Imported, card: Card) -> Imported:
    """Compare `created` and `created_by` with the stored versions': strict refuses a difference, lenient says so."""
    first = card_of(parsed_document(PlaybookVersion.objects.get(pk=versions[0].pk)))
    differing = [
        (name, f"`{name}` differs from that of the versions stored before.")
        for name, mine, theirs in (
            ("created", card.created, first.created),
            ("created_by", card.created_by, first.created_by),
        )
        if mine != theirs
    ]
    if not differing:
        return imported
    severity = Severity.ERROR if imported.level == "strict" else Severity.WARNING
    findings = [Finding("version-conflict", severity, f"/{name}", message) for name, message in differing]
    marked = _with_findings(imported, findings, accepted=severity != Severity.ERROR)
    refuse(marked)
    return marked


def _with_findings(imported: Imported, findings: Sequence[Finding], *, accepted: bool) -> Imported:
    return replace(imported, accepted=accepted, strict=False, findings=(*imported.findings, *findings))


def _insert_cacao_version(
    playbook: Playbook,
    octets: bytes,
    imported: Imported,
    card: Card,
    *,
    number: int,
    actor: Actor,
    now: datetime,
) -> PlaybookVersion:
    version_id = uuid7()
    pointers = sorted(imported.secrets)
    at_rest = sealing.at_rest(octets, tenant_id=playbook.tenant_id, version_id=version_id) if pointers else octets
    return PlaybookVersion.objects.create(
        id=version_id,
        playbook=playbook,
        tenant_id=playbook.tenant_id,
        number=number,
        label=card.modified_text or text_of(now),
        dialect="cacao",
        document=at_rest,
        is_sealed=bool(pointers),
        secret_pointers=pointers,
        jcs_digest=strict_json.digest(sealing.parsed(octets)),
        workflow=as_column(cast(Workflow, imported.workflow)),
        findings=storable([as_json(finding) for finding in imported.findings]),
        is_strict=imported.strict,
        modified_at=now if card.modified is None else moment_of(card.modified),
        valid_from=card.valid_from,
        valid_until=card.valid_until,
        is_revoked=card.is_revoked,
        created_at=now,
        created_by=actor.name[:300],
        created_by_person=actor.person,
    )


def _spread_revocation(playbook: Playbook) -> None:
    """One revoked version revokes them all, and nothing starts them any more (D31)."""
    if playbook.versions.filter(is_revoked=True).exists():
        playbook.versions.filter(is_revoked=False).update(is_revoked=True)
        playbook.triggers.update(is_enabled=False, next_due_at=None)


def _unsigned(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "signatures"}


def _signatures(document: Mapping[str, Any]) -> list[Any]:
    signatures = document.get("signatures")
    return signatures if isinstance(signatures, list) else []


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
