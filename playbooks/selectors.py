"""Reading stored playbooks. Every query begins with a tenant or with an object that was found through one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Tenant
from core import strict_json
from core.errors import NotFound
from core.secrets import Secret
from playbooks import sealing
from playbooks.cacao import stored
from playbooks.cacao.types import Workflow
from playbooks.inputs import start_values as start_values  # read beside the playbook it is for
from playbooks.models import Asset, Playbook, PlaybookVersion, Trigger
from playbooks.timestamps import instant_of

CACHED_WORKFLOWS = 256
#: of a stored workflow, which nests what a document of 100 levels nests a little deeper
DEEPEST = 1_000
Row = TypeVar("Row")


class PlaybookNotFound(NotFound):
    code = "playbook_not_found"


class AssetNotFound(NotFound):
    code = "asset_not_found"


class TriggerNotFound(NotFound):
    code = "trigger_not_found"


def list_playbooks(tenant: Tenant) -> QuerySet[Playbook]:
    """The tenant's playbooks, the newest first."""
    return Playbook.objects.filter(tenant=tenant, is_listed=True, archived_at=None).order_by("-created_at", "id")


def search(playbooks: QuerySet[Playbook], text: str) -> QuerySet[Playbook]:
    """Those whose name or description holds ``text``; case does not matter and no character is special."""
    return playbooks.filter(Q(name__icontains=text) | Q(description__icontains=text))


def get_by_slug(tenant: Tenant, slug: str) -> Playbook:
    return _found(list_playbooks(tenant).filter(slug=slug).first())


def get_by_cacao_id(tenant: Tenant, cacao_id: str) -> Playbook:
    return _found(find_by_cacao_id(tenant, cacao_id))


def find_by_cacao_id(tenant: Tenant, cacao_id: str, *, lock: bool = False) -> Playbook | None:
    """Return the playbook of that id; the UUID in it may be written in either case."""
    found = list_playbooks(tenant).filter(cacao_id__iexact=cacao_id)
    return (found.select_for_update() if lock else found).first()


def latest_version(playbook: Playbook) -> PlaybookVersion:
    """Return the version with the greatest `modified`, without its large columns."""
    versions = playbook.versions.defer("document", "workflow", "findings")
    return _found(versions.order_by("-modified_at", "-number").first())


def list_latest_versions(tenant: Tenant, *, limit: int) -> list[PlaybookVersion]:
    """Return the latest version of each playbook with its document, the newest playbook first, at most ``limit``."""
    newest = list(list_playbooks(tenant)[:limit])
    versions = (
        PlaybookVersion.objects.filter(playbook__in=[playbook.pk for playbook in newest])
        .defer("workflow", "findings")
        .order_by("playbook_id", "-modified_at", "-number")
        .distinct("playbook_id")
    )
    by_playbook = {version.playbook_id: version for version in versions}
    for playbook in newest:
        by_playbook[playbook.pk].playbook = playbook
    return [by_playbook[playbook.pk] for playbook in newest]


def get_version(playbook: Playbook, label: str) -> PlaybookVersion:
    """Return the version of that label; for CACAO its `modified`, compared as an instant."""
    versions = list(playbook.versions.defer("document", "workflow", "findings").order_by("-number"))
    wanted = instant_of(label)
    for version in versions:
        if version.label == label or (wanted is not None and instant_of(version.label) == wanted):
            return version
    raise PlaybookNotFound(f"There is no version {label!r} of {playbook.cacao_id}.")


def get_version_by_id(tenant: Tenant, version_id: UUID) -> PlaybookVersion:
    versions = PlaybookVersion.objects.filter(tenant=tenant).defer("document", "workflow", "findings")
    return _found(versions.select_related("playbook").filter(pk=version_id).first())


class _Workflows:
    """Compiled workflows by version. They are frozen and versions do not change, so nothing is ever stale."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[UUID, Workflow] = OrderedDict()

    def get(self, version_id: UUID) -> Workflow | None:
        with self._lock:
            found = self._kept.get(version_id)
            if found is not None:
                self._kept.move_to_end(version_id)
            return found

    def put(self, version_id: UUID, workflow: Workflow) -> None:
        with self._lock:
            self._kept[version_id] = workflow
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def forget(self, version_id: UUID) -> None:
        with self._lock:
            self._kept.pop(version_id, None)


_workflows = _Workflows(CACHED_WORKFLOWS)


def workflow_of(version: PlaybookVersion) -> Workflow:
    """Return the compiled workflow of a version; the last 256 are kept in each process."""
    return workflow_by_id(version.pk)


def workflow_by_id(version_id: UUID) -> Workflow:
    """As ``workflow_of``, for whoever holds the id only. Raises PlaybookNotFound."""
    workflow = _workflows.get(version_id)
    if workflow is None:
        column = PlaybookVersion.objects.filter(pk=version_id).values_list("workflow", flat=True).first()
        if column is None:
            raise PlaybookNotFound("There is no such version.")
        workflow = stored.from_json(strict_json.loads(column.encode("utf-8"), max_depth=DEEPEST))
        _workflows.put(version_id, workflow)
    return workflow


def document_of(version: PlaybookVersion, *, reveal: bool) -> bytes:
    """Return the document as received; without ``reveal`` its literal secrets are stars.

    Signatures that were added later stand behind the document's own. Octets change for these two reasons only.
    """
    octets = _octets(version)
    hides = version.secret_pointers and not reveal
    if not hides and not version.added_signatures:
        return octets
    document = sealing.parsed(octets)
    if version.added_signatures:
        document["signatures"] = [*document.get("signatures", []), *version.added_signatures]
    return strict_json.dumps(sealing.masked(document, version.secret_pointers) if hides else document)


def parsed_document(version: PlaybookVersion) -> Any:
    """Return the document as JSON values, secrets included: for comparing, never for showing."""
    return sealing.parsed(document_of(version, reveal=True))


def literal_secrets_of(version: PlaybookVersion) -> Mapping[str, Mapping[str, Secret]]:
    """Return the secrets that the document itself gives: authentication id -> field -> secret."""
    if not version.secret_pointers:
        return {}
    return sealing.authentication_secrets(sealing.parsed(_octets(version)), version.secret_pointers)


def catalogue_facts(tenant: Tenant) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Return the CACAO ids of the stored playbooks, and for each that starts others, which."""
    rows = list_playbooks(tenant).values_list("cacao_id", "starts")
    known = {cacao_id: frozenset(starts) for cacao_id, starts in rows}
    return frozenset(known), {cacao_id: starts for cacao_id, starts in known.items() if starts}


def list_triggers(tenant: Tenant, event: str) -> QuerySet[Trigger]:
    """The triggers that may answer to an event; their conditions are still to be looked at."""
    return (
        Trigger.objects.filter(tenant=tenant, event=event, is_enabled=True)
        .filter(playbook__is_enabled=True, playbook__is_listed=True, playbook__archived_at=None)
        .select_related("playbook", "tenant")
        .order_by("id")
    )


def list_all_triggers(tenant: Tenant) -> QuerySet[Trigger]:
    """The triggers of the tenant's playbooks, the newest first."""
    return (
        Trigger.objects.filter(tenant=tenant, playbook__is_listed=True, playbook__archived_at=None)
        .select_related("playbook", "tenant")
        .order_by("-id")
    )


def get_trigger(tenant: Tenant, trigger_id: UUID) -> Trigger:
    found = list_all_triggers(tenant).filter(pk=trigger_id).first()
    if found is None:
        raise TriggerNotFound("There is no such trigger.")
    return found


def find_hook(trigger_id: UUID) -> Trigger | None:
    """Return the trigger that a signed request names; whose it is, only its signature says."""
    return (
        Trigger.objects.filter(pk=trigger_id, event="webhook", tenant__is_active=True)
        .filter(playbook__is_listed=True, playbook__archived_at=None)
        .select_related("playbook", "tenant")
        .first()
    )


def get_asset(tenant: Tenant, reference: str) -> Asset:
    asset = Asset.objects.filter(tenant=tenant, reference=reference).first()
    if asset is None:
        raise AssetNotFound(f"There is no asset {reference!r}.")
    return asset


def is_valid_at(version: PlaybookVersion, now: datetime) -> bool:
    """Whether the version may be started by its own dates (CACAO.md D31); revocation is another matter."""
    started = version.valid_from is None or version.valid_from <= now
    return started and (version.valid_until is None or now < version.valid_until)


def _octets(version: PlaybookVersion) -> bytes:
    octets = bytes(version.document)
    if not version.is_sealed:
        return octets
    return sealing.opened(octets, tenant_id=version.tenant_id, version_id=version.pk)


def _found(row: Row | None) -> Row:
    if row is None:
        raise PlaybookNotFound("There is no such playbook.")
    return row
