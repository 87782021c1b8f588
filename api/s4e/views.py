"""The endpoints of the S4E playbooks API: HTTP to one domain call, and its answer back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema

from api.base import Body, FamilyRequest, Response
from api.idempotency import start_key
from api.pagination import cut, one_of, page_of
from api.s4e import ids, outputs, progress, schema, starting
from api.s4e.dialect import importing, storing
from api.s4e.errors import FAMILY, S4EView, enveloped
from api.s4e.filters import filtered
from api.s4e.inputs import S4EDecisionInput, S4EPlaybookShape, S4ERunInput
from core.errors import Conflict, NotFound
from executions.selectors import get_execution
from executions.services import (
    StartRefused,
    answer_request,
    cancel_execution,
    pause_execution,
    resume_execution,
    start_execution,
)
from manual.selectors import RequestNotFound, find_open
from manual.services import Answer
from playbooks.selectors import get_by_slug, latest_version, list_playbooks, workflow_by_id

if TYPE_CHECKING:
    from executions.models import Execution

#: Who may write connections knows their secrets; such a caller gets documents back exactly (RULINGS 15).
READS_SECRETS = "connections:write"
CACAO = "cacao_v2"


class StepNotFound(NotFound):
    code = "step_not_found"


class NotWaiting(Conflict):
    code = "not_waiting"


class Playbooks(S4EView):
    """GET and POST /api/playbooks"""

    permissions = {"GET": "playbooks:read", "POST": "playbooks:write"}

    @extend_schema(
        operation_id="s4e_list_playbooks", parameters=schema.LIST_QUERY, responses=schema.paged(schema.S4EPlaybookItem)
    )
    def get(self, request: FamilyRequest) -> Response:
        """List playbooks, the newest first."""
        page = page_of(request)
        found = filtered(list_playbooks(request.tenant).order_by("-created_at", "slug"), request.query_params)
        rows, total = cut(found, page)
        meta = {"total": total, "page": page.number, "per_page": page.size}
        return enveloped([outputs.list_item(row) for row in rows], meta=meta)

    @extend_schema(
        operation_id="s4e_create_playbook",
        request=S4EPlaybookShape,
        responses={201: schema.one(schema.S4EPlaybookMade)},
    )
    def post(self, request: FamilyRequest) -> Response:
        """Create a playbook."""
        version = storing.store(tenant=request.tenant, octets=request.octets, actor=request.actor, now=request.now)
        return enveloped(outputs.created(version.playbook), status=201)


class PlaybooksImport(S4EView):
    """POST /api/playbooks/import"""

    permissions = {"POST": "playbooks:write"}
    bodies = {"POST": Body.DOCUMENT}

    @extend_schema(
        operation_id="s4e_import_playbook",
        request=schema.FREE,
        responses={200: schema.one(schema.S4EPlaybookPreview), 201: schema.one(schema.S4EPlaybookImported)},
    )
    def post(self, request: FamilyRequest) -> Response:
        """Import a CACAO 2.0 document; with "dry_run": true at its root, show what it would become."""
        octets, dry_run = importing.without_dry_run(request.octets)
        converted = importing.convert(tenant=request.tenant, octets=octets, now=request.now)
        if dry_run:
            slug = importing.slug_of_name(converted)
            is_taken = list_playbooks(request.tenant).filter(slug=slug).exists()
            return enveloped(outputs.preview(converted, is_taken=is_taken))
        version = importing.store(converted, tenant=request.tenant, actor=request.actor, now=request.now)
        return enveloped(outputs.imported(version.playbook, converted), status=201)


class PlaybookDetail(S4EView):
    """GET /api/playbooks/{id}"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="s4e_get_playbook", responses=schema.one(schema.S4EPlaybookDetail))
    def get(self, request: FamilyRequest, playbook: str) -> Response:
        """Return the full definition of a playbook."""
        return enveloped(outputs.detail(get_by_slug(request.tenant, playbook)))


class PlaybookExport(S4EView):
    """GET /api/playbooks/{id}/export"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(
        operation_id="s4e_export_playbook",
        parameters=[OpenApiParameter("format", str, enum=[CACAO], description="The only one, and the default.")],
        responses=schema.FREE,
    )
    def get(self, request: FamilyRequest, playbook: str) -> HttpResponse:
        """Return the playbook as a CACAO 2.0 document, without an envelope."""
        one_of(request, "format", [CACAO])
        found = get_by_slug(request.tenant, playbook)
        octets = outputs.cacao(latest_version(found), reveal=request.actor.may(READS_SECRETS))
        name = f'attachment; filename="{ids.playbook_id(found)}.json"'
        return HttpResponse(octets, content_type="application/json", headers={"Content-Disposition": name})


class PlaybookRun(S4EView):
    """POST /api/playbooks/{id}/run"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(operation_id="s4e_run_playbook", request=S4ERunInput, responses=schema.one(schema.S4EStarted))
    def post(self, request: FamilyRequest, playbook: str) -> Response:
        """Run a playbook. Each call is a new execution, unless the header Idempotency-Key repeats."""
        found = get_by_slug(request.tenant, playbook)
        key, digest = start_key(request, FAMILY, f"run {found.pk}")
        body = S4ERunInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        starting.check_enabled(found)
        version = latest_version(found)
        inputs = starting.inputs_of(
            version,
            tenant=request.tenant,
            parameters=given["parameters"],
            target_asset_id=given["target_asset_id"],
        )
        try:
            execution = start_execution(
                tenant=request.tenant, version=version, inputs=inputs, options={"dry_run": given["dry_run"]},
                actor=request.actor, start_key=key, start_digest=digest, now=request.now,
            )  # fmt: skip
        except StartRefused as error:
            raise starting.said_as(error, given["parameters"]) from error
        return enveloped(progress.started(execution))


class ExecutionDetail(S4EView):
    """GET /api/playbooks/executions/{exec_id}"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="s4e_get_execution", responses=schema.one(schema.S4EExecutionShown))
    def get(self, request: FamilyRequest, execution: int) -> Response:
        """Return the status of an execution."""
        return _execution(get_execution(request.tenant, number=execution))


class ExecutionSteps(S4EView):
    """GET /api/playbooks/executions/{exec_id}/steps"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="s4e_list_steps", responses=schema.several(schema.S4EStepShown))
    def get(self, request: FamilyRequest, execution: int) -> Response:
        """Return the status and output of each step in the execution."""
        found = get_execution(request.tenant, number=execution)
        return enveloped(progress.Progress(found).steps_shown())


class ExecutionCancel(S4EView):
    """POST /api/playbooks/executions/{exec_id}/cancel"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.NONE}

    @extend_schema(operation_id="s4e_cancel_execution", request=None, responses=schema.one(schema.S4EExecutionShown))
    def post(self, request: FamilyRequest, execution: int) -> Response:
        """Stop an execution: no later step starts."""
        found = get_execution(request.tenant, number=execution)
        return _execution(cancel_execution(execution=found, actor=request.actor, now=request.now))


class ExecutionPause(S4EView):
    """POST /api/playbooks/executions/{exec_id}/pause"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.NONE}

    @extend_schema(operation_id="s4e_pause_execution", request=None, responses=schema.one(schema.S4EExecutionShown))
    def post(self, request: FamilyRequest, execution: int) -> Response:
        """Hold an execution: steps that run come to their end, no other starts."""
        found = get_execution(request.tenant, number=execution)
        return _execution(pause_execution(execution=found, actor=request.actor, now=request.now))


class ExecutionResume(S4EView):
    """POST /api/playbooks/executions/{exec_id}/resume"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.NONE}

    @extend_schema(operation_id="s4e_resume_execution", request=None, responses=schema.one(schema.S4EExecutionShown))
    def post(self, request: FamilyRequest, execution: int) -> Response:
        """Let a held execution go on."""
        found = get_execution(request.tenant, number=execution)
        return _execution(resume_execution(execution=found, actor=request.actor, now=request.now))


class StepApprove(S4EView):
    """POST /api/playbooks/executions/{exec_id}/steps/{step_id}/approve"""

    permissions = {"POST": "approvals:decide"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(operation_id="s4e_approve_step", request=S4EDecisionInput, responses=schema.one(schema.S4EDecision))
    def post(self, request: FamilyRequest, execution: int, step: str) -> Response:
        """Approve a step that waits for a decision."""
        return _decide(request, execution, step, approved=True)


class StepReject(S4EView):
    """POST /api/playbooks/executions/{exec_id}/steps/{step_id}/reject"""

    permissions = {"POST": "approvals:decide"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(operation_id="s4e_reject_step", request=S4EDecisionInput, responses=schema.one(schema.S4EDecision))
    def post(self, request: FamilyRequest, execution: int, step: str) -> Response:
        """Reject a step that waits for a decision."""
        return _decide(request, execution, step, approved=False)


def _execution(execution: Execution) -> Response:
    return enveloped(progress.Progress(execution).execution_shown())


def _decide(request: FamilyRequest, number: int, step: str, *, approved: bool) -> Response:
    body = S4EDecisionInput(data=request.data)
    body.is_valid(raise_exception=True)
    execution = get_execution(request.tenant, number=number)
    if not progress.is_shown(workflow_by_id(execution.version_id), step):
        raise StepNotFound(f"The execution has no step {step[:100]!r}.")
    try:
        waiting = find_open(request.tenant, execution.pk, step)
    except RequestNotFound:
        raise NotWaiting(f"The step {step!r} does not wait for a decision.") from None
    answer = Answer(success=approved, comment=body.validated_data["comment"])
    decided = answer_request(request=waiting, answer=answer, actor=request.actor, now=request.now)
    return enveloped(progress.decision(execution, step, decided))
