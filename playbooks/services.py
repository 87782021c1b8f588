"""Storing playbooks: one import service with three modes (RULINGS 16), and dialects of their own.

A stored version never changes; the columns of its playbook are those of the latest version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, cast
from uuid import uuid4

from django.db import IntegrityError, connection, transaction

from accounts.models import Tenant
from core import strict_json
from core.actors import Actor
from core.errors import Conflict, FieldError, Invalid
from core.models import uuid7
from playbooks import sealing
from playbooks.cacao import stored
from playbooks.cacao.types import Finding, Imported, Severity, Workflow
from playbooks.cards import Card, card_of, shown_steps, started_playbooks
from playbooks.models import Asset, Playbook, PlaybookVersion, Trigger
from playbooks.selectors import find_by_cacao_id, latest_version, parsed_document
from playbooks.slugs import slug_of
from playbooks.timestamps import instant_of, moment_of, text_of

Mode = Literal["new", "version", "copy"]
"""What an id that is stored already means: a conflict, another version of it, or a copy with a new id."""


class PlaybookRefused(Invalid):
    """The import did not accept the document; ``context['findings']`` says why."""

    code = "playbook_refused"


class PlaybookExists(Conflict):
    code = "playbook_exists"


class NameTaken(Conflict):
    code = "name_taken"


class VersionConflict(Conflict):
    """This version of the playbook is stored with another content (CACAO.md D30)."""

    code = "version_conflict"


class NameUnusable(Invalid):
    code = "name_unusable"


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
    _one_at_a_time(tenant)
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
    slug = slug_for(card.name) if mode == "copy" else _free_slug(tenant, card)
    playbook = _insert_playbook(
        Playbook(
            tenant=tenant, slug=slug, cacao_id=card.cacao_id, dialect="cacao", trigger={}, is_listed=listed,
            derived_from=_texts(document.get("derived_from")), created_at=now, updated_at=now,
            **_columns(card, cast(Workflow, imported.workflow)),
        )
    )  # fmt: skip
    version = _insert_cacao_version(playbook, octets, imported, card, number=1, actor=actor, now=now)
    _spread_revocation(playbook)
    return version


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
) -> PlaybookVersion:
    """Store a new playbook written in a family's own dialect, already checked and compiled by that family.

    ``trigger`` is ``{"event", "conditions", "cron"?}`` or empty. Raises NameTaken when the tenant has the slug.
    """
    playbook = _insert_playbook(
        Playbook(
            tenant=tenant, slug=slug, cacao_id=cacao_id, name=name, description=description, dialect=dialect,
            version_label=label, trigger=dict(trigger), tags=list(tags), step_count=step_count,
            derived_from=list(derived_from), starts=list(started_playbooks(workflow)), created_at=now, updated_at=now,
        )
    )  # fmt: skip
    version = PlaybookVersion.objects.create(
        playbook=playbook, tenant=tenant, number=1, label=label, dialect=dialect, document=octets,
        jcs_digest=strict_json.digest(sealing.parsed(octets)), workflow=_as_column(workflow), modified_at=now,
        created_at=now, created_by=actor.name[:300],
    )  # fmt: skip
    _set_trigger(playbook, trigger)
    return version


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
    playbook.triggers.update(is_enabled=False)
    return playbook


def put_asset(*, tenant: Tenant, reference: str, data: Mapping[str, Any]) -> Asset:
    """Make or replace an asset that playbooks can be run on."""
    asset, _ = Asset.objects.update_or_create(tenant=tenant, reference=reference, defaults={"data": dict(data)})
    return asset


def refuse(imported: Imported) -> None:
    """Raise PlaybookRefused unless the import accepted the document."""
    if imported.accepted and imported.workflow is not None:
        return
    errors = [finding for finding in imported.findings if finding.severity == Severity.ERROR]
    fields = [FieldError(path=finding.pointer, message=finding.message) for finding in errors]
    message = errors[0].message if errors else "The document is no playbook that can be imported."
    if errors and errors[0].pointer:
        message = f"{errors[0].pointer}: {message}"
    raise PlaybookRefused(message, fields=fields, findings=imported.findings)


def new_cacao_id() -> str:
    return f"playbook--{uuid4()}"


def copied(document: Mapping[str, Any], *, new_id: str) -> tuple[dict[str, Any], bytes]:
    """Return the document under a new id that names its origin, and its octets."""
    origin = [*_texts(document.get("derived_from")), str(document["id"])]
    copy = {**document, "id": new_id, "derived_from": list(dict.fromkeys(origin))}
    return copy, strict_json.dumps(copy)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as CACAO.md 13.5 shows it."""
    told: dict[str, Any] = {
        "code": finding.code,
        "severity": str(finding.severity),
        "pointer": finding.pointer,
        "message": finding.message,
    }
    if finding.relaxed is not None:
        told["relaxed"] = finding.relaxed
    if finding.suppressed:
        told["suppressed"] = True
    return told


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
        for name, value in _columns(card, cast(Workflow, imported.workflow)).items():
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
        workflow=_as_column(cast(Workflow, imported.workflow)),
        findings=_storable([as_json(finding) for finding in imported.findings]),
        is_strict=imported.strict,
        modified_at=now if card.modified is None else moment_of(card.modified),
        valid_from=card.valid_from,
        valid_until=card.valid_until,
        is_revoked=card.is_revoked,
        created_at=now,
        created_by=actor.name[:300],
    )


def _insert_playbook(playbook: Playbook) -> Playbook:
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


def _spread_revocation(playbook: Playbook) -> None:
    """One revoked version revokes them all, and nothing starts them any more (D31)."""
    if playbook.versions.filter(is_revoked=True).exists():
        playbook.versions.filter(is_revoked=False).update(is_revoked=True)
        playbook.triggers.update(is_enabled=False)


def _set_trigger(playbook: Playbook, trigger: Mapping[str, Any]) -> None:
    playbook.triggers.all().delete()
    if trigger:
        Trigger.objects.create(
            tenant_id=playbook.tenant_id,
            playbook=playbook,
            event=trigger["event"],
            conditions=dict(trigger.get("conditions") or {}),
            cron=trigger.get("cron") or "",
        )


def _columns(card: Card, workflow: Workflow) -> dict[str, Any]:
    return {
        "name": card.name,
        "description": card.description,
        "version_label": card.version_label,
        "tags": list(card.tags),
        "step_count": shown_steps(workflow),
        "starts": list(started_playbooks(workflow)),
    }


def slug_for(name: str) -> str:
    """Return the slug a name makes. Raises NameUnusable for a name without letters and digits."""
    slug = slug_of(name)
    if not slug:
        message = "The name needs a letter from a to z or a digit: the playbook's id is made of it."
        raise NameUnusable(f"name: {message}", fields=[FieldError("name", message)])
    return slug


def _one_at_a_time(tenant: Tenant) -> None:
    """Imports of one tenant wait for each other, so that whoever comes second sees the first one's id and name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"playbooks of {tenant.pk}"])


def _free_slug(tenant: Tenant, card: Card) -> str:
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


def _as_column(workflow: Workflow) -> str:
    return strict_json.dumps(stored.to_json(workflow)).decode("utf-8")


def _storable(value: Any) -> Any:
    """``value`` without U+0000, which jsonb cannot hold; the document keeps it (CACAO.md 13.6)."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _unsigned(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "signatures"}


def _signatures(document: Mapping[str, Any]) -> list[Any]:
    signatures = document.get("signatures")
    return signatures if isinstance(signatures, list) else []


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
