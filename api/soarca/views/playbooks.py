"""/playbook: stored CACAO documents, given back as they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema

from api.base import Body, FamilyRequest, Response
from api.dialects import cacao_form, has_cacao_form
from api.soarca import documents, outputs, schema
from api.soarca.errors import Refused, SoarcaView
from core import strict_json
from playbooks.selectors import find_by_cacao_id, latest_version, list_latest_versions
from playbooks.services import archive_playbook

if TYPE_CHECKING:
    from playbooks.models import Playbook

MOST: Final = 1_000
#: Who may write connections knows their secrets; such a caller gets documents back exactly (RULINGS 15).
READS_SECRETS: Final = "connections:write"


class Playbooks(SoarcaView):
    """GET and POST /playbook"""

    permissions = {"GET": "playbooks:read", "POST": "playbooks:write"}
    bodies = {"POST": Body.DOCUMENT}

    @extend_schema(operation_id="soarca_list_playbooks", responses=schema.DOCUMENTS)
    def get(self, request: FamilyRequest) -> HttpResponse:
        """List the stored playbooks, the newest first."""
        return _json(b"[" + b",".join(_shown(request, reveal=request.actor.may(READS_SECRETS))) + b"]")

    @extend_schema(operation_id="soarca_add_playbook", request=schema.DOCUMENT, responses={201: schema.DOCUMENT})
    def post(self, request: FamilyRequest) -> HttpResponse:
        """Store a CACAO playbook; it is kept as it came."""
        documents.read(request.octets)
        with transaction.atomic():
            documents.store(request, request.octets, mode="new")
        return _json(request.octets, status=201)


class PlaybooksMeta(SoarcaView):
    """GET /playbook/meta"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="soarca_list_playbook_meta", responses=schema.SoarcaPlaybookMeta(many=True))
    def get(self, request: FamilyRequest) -> Response:
        """List what the stored playbooks say of themselves."""
        shown = (strict_json.loads(octets, allow_nul=True) for octets in _shown(request, reveal=False))
        return Response([outputs.playbook_meta(document) for document in shown])


class StoredPlaybook(SoarcaView):
    """GET, PUT and DELETE /playbook/{id}"""

    permissions = {"GET": "playbooks:read", "PUT": "playbooks:write", "DELETE": "playbooks:write"}
    bodies = {"PUT": Body.DOCUMENT}

    @extend_schema(operation_id="soarca_get_playbook", responses=schema.DOCUMENT)
    def get(self, request: FamilyRequest, playbook: str) -> HttpResponse:
        """Return a playbook as it came."""
        version = latest_version(load(request, playbook))
        return _json(cacao_form(version, reveal=request.actor.may(READS_SECRETS)))

    @extend_schema(operation_id="soarca_change_playbook", request=schema.DOCUMENT, responses=schema.DOCUMENT)
    def put(self, request: FamilyRequest, playbook: str) -> HttpResponse:
        """Store a new version; running executions keep theirs."""
        document = documents.read(request.octets)
        with transaction.atomic():
            found = load(request, playbook, lock=True)
            documents.check_id(document, found.cacao_id)
            octets = documents.with_later_modified(
                request.octets, document, stored=latest_version(found).modified_at, now=request.now
            )
            documents.store(request, octets, mode="version")
        return _json(octets)

    @extend_schema(operation_id="soarca_archive_playbook", responses={200: schema.NOTHING})
    def delete(self, request: FamilyRequest, playbook: str) -> HttpResponse:
        """Archive a playbook; its executions and reports stay."""
        archive_playbook(playbook=load(request, playbook), now=request.now)
        return HttpResponse(status=200, content_type="application/json")


def load(request: FamilyRequest, playbook_id: str, *, lock: bool = False) -> Playbook:
    """Return the caller's playbook; this contract answers 400, not 404, when there is none."""
    found = find_by_cacao_id(request.tenant, playbook_id, lock=lock)
    if found is None:
        raise Refused("Failed to load playbook", downstream="There is no such playbook.")
    return found


def _shown(request: FamilyRequest, *, reveal: bool) -> Iterator[bytes]:
    for version in list_latest_versions(request.tenant, limit=MOST):
        if has_cacao_form(version):
            yield cacao_form(version, reveal=reveal)


def _json(octets: bytes, *, status: int = 200) -> HttpResponse:
    return HttpResponse(octets, status=status, content_type="application/json")
