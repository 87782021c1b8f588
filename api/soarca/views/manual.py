"""/manual: what waits for a person, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.utils import extend_schema

from api.base import FamilyRequest, Kind, Refusal, Response
from api.soarca import ids, inputs, outputs, schema
from api.soarca.errors import Refused, SoarcaView
from executions.services import answer_request
from manual.selectors import RequestNotFound, find_open, list_open
from manual.services import Answer, RequestGone

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet

    from manual.models import ManualRequest

#: The original's words, whatever the reason: unknown, answered, expired, another tenant's.
NOTHING_WAITS = "Pending command not found"


class ManualSteps(SoarcaView):
    """GET /manual"""

    permissions = {"GET": "manual:read"}

    @extend_schema(operation_id="soarca_list_manual_steps", responses=schema.SoarcaManualStep(many=True))
    def get(self, request: FamilyRequest) -> Response:
        """List what waits for a person."""
        return Response([outputs.manual_item(found) for found in _open(request)])


class ManualStep(SoarcaView):
    """GET and PUT /manual/{execution-id}/{step-id}"""

    permissions = {"GET": "manual:read", "PUT": "manual:respond"}

    @extend_schema(operation_id="soarca_get_manual_step", responses=schema.SoarcaManualStep)
    def get(self, request: FamilyRequest, execution: str, step: str) -> Response:
        """Return what waits at one step."""
        found = _find(request, ids.execution_id(execution), step)
        return Response(outputs.manual_item(found))

    @extend_schema(
        operation_id="soarca_answer_manual_step", request=schema.SoarcaAnswer, responses=schema.SoarcaStarted
    )
    def put(self, request: FamilyRequest, execution: str, step: str) -> Response:
        """Answer what waits at one step."""
        answer = inputs.read_put(request.data)
        found = _find(request, ids.execution_id(execution), step)
        return _answer(request, found, answer)


class ManualContinue(SoarcaView):
    """POST /manual/continue"""

    permissions = {"POST": "manual:respond"}

    @extend_schema(
        operation_id="soarca_continue_manual_step", request=schema.SoarcaContinue, responses=schema.SoarcaStarted
    )
    def post(self, request: FamilyRequest) -> Response:
        """Answer what waits at the step that the body names."""
        body = inputs.read_continue(request.data)
        found = _find(request, body.execution_id, body.step_ref)
        if body.step_id is not None and not _is_at(found, body.step_id):
            raise Refusal(Kind.NOT_FOUND, NOTHING_WAITS)
        if body.playbook_id is not None and not ids.is_same_playbook(body.playbook_id, found.playbook_cacao_id):
            raise Refused("playbook_id is not the playbook of this execution.")
        return _answer(request, found, body.answer)


def _find(request: FamilyRequest, execution_id: UUID, step_ref: str) -> ManualRequest:
    try:
        return find_open(request.tenant, execution_id, step_ref, actor=request.actor)
    except RequestNotFound:
        # A step of another dialect has a CACAO id that only this family makes of it.
        for found in _open(request).filter(execution_id=execution_id).exclude(execution__dialect="cacao"):
            if _is_at(found, step_ref):
                return found
        raise Refusal(Kind.NOT_FOUND, NOTHING_WAITS) from None


def _open(request: FamilyRequest) -> QuerySet[ManualRequest]:
    return list_open(request.tenant, request.actor).select_related("execution", "step_run")


def _is_at(found: ManualRequest, step_ref: str) -> bool:
    names = (found.step_id, outputs.cacao_id_of_step(found))
    return any(ids.is_same_step(step_ref, name, found.step_run_id) for name in names)


def _answer(request: FamilyRequest, found: ManualRequest, given: inputs.ManualAnswer) -> Response:
    inputs.check_types(given.variables, {name: field["type"] for name, field in found.out_args.items()})
    values = {name: variable.value for name, variable in given.variables.items()}
    answer = Answer(success=given.success, values=values)
    try:
        answered = answer_request(request=found, answer=answer, actor=request.actor, now=request.now)
    except RequestGone:
        raise Refusal(Kind.NOT_FOUND, NOTHING_WAITS) from None
    return Response(outputs.started(answered.execution_id, answered.playbook_cacao_id))
