"""/api/composio: connecting a vendor's account, and the connections that a tenant has."""

from __future__ import annotations

from typing import ClassVar, Final

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema

from accounts.selectors import Caller
from api.address import address_of
from api.base import Body, FamilyRequest, Kind, Refusal, Response
from api.olorin import catalogue, ids, outputs, schema
from api.olorin.errors import MINUTE, OlorinView
from api.olorin.inputs import check_tenant, required_query
from api.pagination import one_of
from api.permissions import PUBLIC
from api.throttling import Limit
from connectors import connecting, oauth, selectors
from connectors.base import OutcomeKind
from connectors.models import Connection
from connectors.standing import status_of
from core.errors import Forbidden

STATUSES: Final = ("active", "expired", "revoked")
#: codes of an outcome that speak of the token, not of the far side
_OF_TOKEN: Final = frozenset({"unauthorized", "no_connection"})


class Connect(OlorinView):
    """POST /api/composio/connect/{toolkit}"""

    permissions: ClassVar[dict[str, str]] = {"POST": "connections:write"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.NONE}
    limit = ("connect", 10)

    @extend_schema(
        operation_id="olorin_connect", parameters=[schema.TENANT], request=None, responses={200: schema.OlorinConnect}
    )
    def post(self, request: FamilyRequest, toolkit: str) -> Response:
        """Return where somebody logs on to connect an account of the toolkit."""
        check_tenant(request)
        catalogue.check_toolkit(toolkit)
        begun = connecting.begin_connect(
            tenant=request.tenant, toolkit=toolkit, redirect_uri=_redirect_uri(), now=request.now
        )
        return Response(outputs.begun(begun))


class Callback(OlorinView):
    """GET /api/composio/callback"""

    permissions: ClassVar[dict[str, str]] = {"GET": PUBLIC}

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        return (Limit("olorin.callback", address_of(request), limit=60, window=MINUTE),)

    @extend_schema(
        operation_id="olorin_callback",
        parameters=[OpenApiParameter("code", str, required=True), OpenApiParameter("state", str, required=True)],
        responses={200: schema.OlorinConnected},
        auth=[],
    )
    def get(self, request: FamilyRequest) -> Response:
        """Where the vendor sends people back to. The state is the credential; it is good once."""
        state = required_query(request, "state", kind=Kind.UNAUTHORIZED)
        code = required_query(request, "code")
        tenant = request.auth.tenant if isinstance(request.auth, Caller) else None
        try:
            found = connecting.finish_connect(
                state=state, code=code, redirect_uri=_redirect_uri(), tenant=tenant, now=request.now
            )
        except connecting.StateRefused as error:
            raise Refusal(Kind.UNAUTHORIZED, error.message, headers={"WWW-Authenticate": "State"}) from error
        except oauth.VendorAway as error:
            raise Refusal(Kind.INTERNAL, error.message) from error
        return Response(outputs.connected(found))


class Connections(OlorinView):
    """GET /api/composio/connections"""

    permissions: ClassVar[dict[str, str]] = {"GET": "connections:read"}
    limit = ("connections", 60)

    @extend_schema(
        operation_id="olorin_list_connections",
        parameters=[
            schema.TENANT,
            OpenApiParameter("toolkit", str, enum=list(catalogue.ACTIONS)),
            OpenApiParameter("status", str, enum=list(STATUSES)),
        ],
        responses={200: schema.OlorinConnections},
    )
    def get(self, request: FamilyRequest) -> Response:
        """List the tenant's connections of toolkits, the newest first."""
        check_tenant(request)
        toolkit = one_of(request, "toolkit", tuple(catalogue.ACTIONS))
        status = one_of(request, "status", STATUSES)
        kinds = frozenset({toolkit} if toolkit else catalogue.ACTIONS)
        found = selectors.list_of_kinds(request.tenant.pk, kinds=kinds)
        found.sort(key=lambda each: (each.created_at, each.pk), reverse=True)
        shown = [outputs.connection(each, now=request.now) for each in found]
        listed = [each for each in shown if status in (None, each["status"])]
        return Response({"connections": listed, "total": len(listed)})


class ConnectionDetail(OlorinView):
    """DELETE /api/composio/connections/{id}"""

    permissions: ClassVar[dict[str, str]] = {"DELETE": "connections:write"}
    limit = ("connections", 60)

    @extend_schema(
        operation_id="olorin_revoke_connection", parameters=[schema.TENANT], responses={200: schema.OlorinRevoked}
    )
    def delete(self, request: FamilyRequest, connection: str) -> Response:
        """Take a connection back. Its tokens are forgotten, its row stays."""
        found = connecting.revoke(connection=_connection(request, connection), now=request.now)
        named = {"connection_id": ids.connection_id(found.pk), "status": "revoked"}
        return Response({**named, "revoked_at": outputs.time(found.revoked_at)})


class ConnectionTest(OlorinView):
    """POST /api/composio/test-connection/{id}"""

    permissions: ClassVar[dict[str, str]] = {"POST": "connections:write"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.NONE}
    limit = ("connections", 60)

    @extend_schema(
        operation_id="olorin_test_connection",
        parameters=[schema.TENANT],
        request=None,
        responses={200: schema.OlorinTested},
    )
    def post(self, request: FamilyRequest, connection: str) -> Response:
        """Read something small through a connection."""
        found = _connection(request, connection)
        outcome = connecting.try_connection(found)
        succeeded = outcome.kind is OutcomeKind.COMPLETED
        if not succeeded and outcome.code not in _OF_TOKEN:
            raise Refusal(Kind.INTERNAL, f"{found.kind} could not be asked: {outcome.message}")
        found.refresh_from_db()
        return Response(
            {
                "connection_id": ids.connection_id(found.pk),
                "status": status_of(found, now=request.now),
                "test_result": "success" if succeeded else "failed",
                "tested_at": outputs.time(request.now),
            }
        )


def _connection(request: FamilyRequest, connection: str) -> Connection:
    """Raises ConnectionNotFound, and Forbidden for another tenant's."""
    check_tenant(request)
    key = ids.connection_key(connection)
    found = None if key is None else Connection.objects.filter(pk=key, kind__in=list(catalogue.ACTIONS)).first()
    if found is None:
        raise selectors.ConnectionNotFound("There is no such connection.")
    if found.tenant_id != request.tenant.pk:
        raise Forbidden("This belongs to another tenant.")
    return found


def _redirect_uri() -> str:
    return f"{settings.SALLYPORT_PUBLIC_URL}/api/composio/callback"
