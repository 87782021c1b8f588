"""/trigger: starting a stored playbook with variables, or a whole playbook that comes along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from drf_spectacular.utils import extend_schema

from api.base import Body, FamilyRequest, Response
from api.idempotency import start_key
from api.soarca import documents, inputs, outputs, schema
from api.soarca.errors import FAMILY, Refused, SoarcaView, refusing
from api.soarca.views.playbooks import load
from core.errors import Invalid
from executions.services import start_execution
from playbooks.selectors import latest_version, workflow_of

if TYPE_CHECKING:
    from executions.models import Execution
    from playbooks.models import PlaybookVersion

CANNOT_DECODE = "Failed to decode playbook"
CANNOT_EXECUTE = "Cannot execute. reason"


class TriggerPlaybook(SoarcaView):
    """POST /trigger/playbook: the playbook is the body. It is pinned to its execution and listed nowhere."""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.DOCUMENT}

    @extend_schema(operation_id="soarca_trigger", request=schema.DOCUMENT, responses=schema.SoarcaStarted)
    def post(self, request: FamilyRequest) -> Response:
        """Start the playbook in the body."""
        key, digest = start_key(request, FAMILY, "/trigger/playbook")
        _check_readable(request.octets)
        with transaction.atomic():
            with refusing(CANNOT_DECODE):
                version = documents.store(request, request.octets, mode="new", listed=False)
            execution = _start(request, version, {}, key=key, digest=digest)
            if execution.version_id != version.pk:
                # The same start again: the first one's playbook is there already.
                transaction.set_rollback(True)
        return _started(execution)


class TriggerStoredPlaybook(SoarcaView):
    """POST /trigger/playbook/{id}: the body is the variables, empty for none."""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="soarca_trigger_stored",
        request=schema.VARIABLES,
        responses=schema.SoarcaStarted,
    )
    def post(self, request: FamilyRequest, playbook: str) -> Response:
        """Start a stored playbook with variables: name to {type, value}."""
        found = load(request, playbook)
        key, digest = start_key(request, FAMILY, f"/trigger/playbook/{found.cacao_id}")
        if not found.is_enabled:
            raise Refused(f"{CANNOT_EXECUTE}: The playbook is disabled.")
        version = latest_version(found)
        with refusing(CANNOT_EXECUTE):
            variables = inputs.read_start(request.data)
            declared = workflow_of(version).variables.values()
            inputs.check_types(variables, {variable.name: variable.type for variable in declared})
        return _started(_start(request, version, variables, key=key, digest=digest))


def _check_readable(octets: bytes) -> None:
    try:
        documents.read(octets)
    except Invalid as error:
        raise Refused(CANNOT_DECODE, downstream=error.message) from error


def _start(
    request: FamilyRequest,
    version: PlaybookVersion,
    variables: dict[str, inputs.GivenVariable],
    *,
    key: str | None,
    digest: str,
) -> Execution:
    with refusing(CANNOT_EXECUTE):
        return start_execution(
            tenant=request.tenant,
            version=version,
            inputs={"variables": {name: variable.value for name, variable in variables.items()}},
            actor=request.actor,
            now=request.now,
            start_key=key,
            start_digest=digest,
        )


def _started(execution: Execution) -> Response:
    return Response(outputs.started(execution.pk, execution.playbook.cacao_id))
