"""POST /api/composio/soar-action: one action of a toolkit, signed with the tenant's secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema

from accounts.models import Tenant
from accounts.selectors import Caller, list_tenants
from api import throttling
from api.address import address_of
from api.base import FamilyRequest, Kind, Refusal, Response
from api.errors import problem_of
from api.olorin import acting, auditing, catalogue, ids, outputs, schema
from api.olorin.errors import MINUTE, OlorinView, of_tenant
from api.olorin.inputs import OlorinActionInput
from api.olorin.signing import Signed, is_signed
from api.permissions import PUBLIC
from api.throttling import Limit
from connectors.signing_secrets import secrets_for, settings_of
from executions.models import Execution
from executions.selectors import ExecutionNotFound, get_execution

SIGNATURE_WRONG: Final = "The tenant, the signature or the time of the request is not valid."
#: of one address, before anybody knows who it is
STRANGERS: Final = 600
_NOBODY: Final = UUID(int=0)
_HEADERS: Final = [
    OpenApiParameter(
        "X-SOAR-Signature", str, OpenApiParameter.HEADER, description="Over the body as sent, if it holds no signature."
    ),
    OpenApiParameter("X-SOAR-Timestamp", str, OpenApiParameter.HEADER, description="Seconds since 1970."),
]


class SoarAction(OlorinView):
    """POST /api/composio/soar-action"""

    permissions: ClassVar[dict[str, str]] = {"POST": PUBLIC}

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        """Strangers count by address: nobody but who can sign uses up a tenant's window."""
        return (Limit("olorin.strangers", address_of(request), limit=STRANGERS, window=MINUTE),)

    @extend_schema(
        operation_id="olorin_soar_action",
        parameters=_HEADERS,
        request=OlorinActionInput,
        responses={200: schema.OlorinActionDone},
        auth=[],
    )
    def post(self, request: FamilyRequest) -> Response:
        """Carry out an action for a running execution. The request is signed; a bearer token is not needed."""
        body = OlorinActionInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        action = catalogue.bare_action(given["toolkit"], given["action"])
        tenant = self._signer(request, given, action)
        self.standing = throttling.count([of_tenant("actions", 100, tenant=str(tenant.pk))])
        execution: Execution | None = None
        try:
            execution = _execution(tenant, given["execution_id"])
            asked = acting.Asked(tenant, execution, given["toolkit"], action, given["parameters"])
            done = acting.carry_out(asked, now=request.now)
        except Exception as error:
            _audit(tenant, execution, given, action, error, request)
            raise
        shown = {"action_id": done.action_id, "status": "success", "result": done.result}
        return Response({**shown, "executed_at": outputs.time(done.executed_at)})

    def _signer(self, request: FamilyRequest, given: Mapping[str, Any], action: str) -> Tenant:
        """Return the tenant that signed. Every reason for a refusal has the same answer, and the same work."""
        tenant = list_tenants().filter(slug=given["tenant_id"], is_active=True).first()
        found = settings_of(tenant.pk if tenant else _NOBODY)
        meta = request._request.META
        signed = Signed(
            body=request.data,
            octets=request.octets,
            header=meta.get("HTTP_X_SOAR_SIGNATURE"),
            timestamp=meta.get("HTTP_X_SOAR_TIMESTAMP"),
        )
        secrets = secrets_for(found, now=request.now) if tenant else []
        is_good = is_signed(signed, secrets, requires_timestamp=found.require_timestamp, now=request.now)
        if tenant is not None and is_good and _is_of(tenant, request):
            return tenant
        auditing.note_refused(tenant=tenant, given=given, action=action, why=SIGNATURE_WRONG, now=request.now)
        raise Refusal(Kind.UNAUTHORIZED, SIGNATURE_WRONG, headers={"WWW-Authenticate": "Signature"})


def _is_of(tenant: Tenant, request: FamilyRequest) -> bool:
    """A bearer that is sent beside the signature is of the same tenant."""
    return not isinstance(request.auth, Caller) or request.auth.tenant.pk == tenant.pk


def _execution(tenant: Tenant, execution_id: str) -> Execution:
    number = ids.execution_number(execution_id)
    if number is None:
        raise ExecutionNotFound("There is no such execution.")
    return get_execution(tenant, number=number)


def _audit(
    tenant: Tenant,
    execution: Execution | None,
    given: Mapping[str, Any],
    action: str,
    error: Exception,
    request: FamilyRequest,
) -> None:
    """Note what was refused before anything was begun; what was begun has its row."""
    found = problem_of(error)
    if found is None or isinstance(error, acting.ActionFailed):
        return
    auditing.note_refused(
        tenant=tenant,
        given=given,
        action=action,
        why=found.message,
        now=request.now,
        execution_id=execution.pk if execution else None,
        parameters=auditing.redacted(dict(given["parameters"])),
    )
