"""/api/soar/playbooks: start a playbook for a tenant, and what became of it."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema

from api.base import FamilyRequest, Kind, Refusal, Response
from api.idempotency import start_key
from api.olorin import ids, outputs, schema, starting
from api.olorin.errors import FAMILY, OlorinView
from api.olorin.inputs import OlorinExecuteInput, check_tenant
from core.errors import Forbidden
from executions.models import Execution
from executions.selectors import ExecutionNotFound, get_execution


class PlaybookExecute(OlorinView):
    """POST /api/soar/playbooks/execute"""

    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:execute"}
    limit = ("execute", 10)

    @extend_schema(
        operation_id="olorin_execute_playbook", request=OlorinExecuteInput, responses={202: schema.OlorinStarted}
    )
    def post(self, request: FamilyRequest) -> Response:
        """Start a playbook. Each call is a new execution, unless the header Idempotency-Key repeats."""
        body = OlorinExecuteInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        check_tenant(request, given["tenant_id"])
        key, digest = start_key(request, FAMILY, "execute")
        playbook = starting.get_playbook(request.tenant, given["playbook_id"])
        try:
            execution = starting.start(
                tenant=request.tenant, playbook=playbook, given=given, actor=request.actor, start_key=key,
                start_digest=digest, now=request.now,
            )  # fmt: skip
        except starting.EngineFailed as error:
            stored = ids.execution_id(error.execution.number)
            raise Refusal(Kind.INTERNAL, f"The engine could not start the run; it is stored as {stored}.") from error
        return Response(outputs.started(execution), status=202)


class ExecutionDetail(OlorinView):
    """GET /api/soar/playbooks/executions/{execution_id}"""

    permissions: ClassVar[dict[str, str]] = {"GET": "playbooks:read"}
    limit = ("status", 60)

    @extend_schema(
        operation_id="olorin_get_execution", parameters=[schema.TENANT], responses={200: schema.OlorinExecution}
    )
    def get(self, request: FamilyRequest, execution: str) -> Response:
        """Return an execution and the actions that ended so far."""
        check_tenant(request)
        number = ids.execution_number(execution)
        if number is None:
            raise ExecutionNotFound("There is no such execution.")
        try:
            return Response(outputs.execution(get_execution(request.tenant, number=number)))
        except ExecutionNotFound:
            if Execution.objects.filter(number=number).exists():
                raise Forbidden("This belongs to another tenant.") from None
            raise
