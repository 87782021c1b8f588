"""/api/native/connections: where connectors may go, and with which secrets. A secret goes in and never comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from api.base import Body, FamilyRequest, Response
from api.native import outputs, queries, schema
from api.native.errors import NativeView
from api.native.inputs import ConnectionInput, ConnectionPatch, SecretInput
from api.pagination import one_of
from connectors import selectors
from connectors.registry import CONNECTION_KINDS
from connectors.services import (
    create_connection,
    delete_connection,
    notes_on,
    remove_secret,
    set_secret,
    update_connection,
)

if TYPE_CHECKING:
    from connectors.models import Connection

_NAMES = {"is_keyed": "keyed", "is_enabled": "enabled"}


class Connections(NativeView):
    """GET and POST /api/native/connections"""

    permissions = {"GET": "connections:read", "POST": "connections:write"}

    @schema.operation(
        "list_connections", "List connections", problems=[400, 422],
        query=[OpenApiParameter("kind", str, enum=list(CONNECTION_KINDS)), *schema.PAGE],
        answers={200: schema.paged(schema.NativeConnection)},
    )  # fmt: skip
    def get(self, request: FamilyRequest) -> Response:
        """List connections by name."""
        kind = one_of(request, "kind", CONNECTION_KINDS)
        found = selectors.of(request.tenant.pk)
        if kind is not None:
            found = found.filter(kind=kind)
        rows, following = queries.page(
            request, found, name="connections", filters={"kind": kind}, key=lambda row: [row.name, str(row.pk)],
            after=_later,
        )  # fmt: skip
        return Response({"items": [outputs.connection(row) for row in rows], "next": following})

    @schema.operation(
        "create_connection", "Make a connection", takes=ConnectionInput, answers={201: schema.NativeConnection},
        problems=[400, 409, 413, 415, 422],
    )  # fmt: skip
    def post(self, request: FamilyRequest) -> Response:
        """Make a connection. `notes` in the answer say what will not work yet."""
        body = ConnectionInput(data=request.data)
        body.is_valid(raise_exception=True)
        made = create_connection(tenant=request.tenant, now=request.now, **_given(body.validated_data))
        headers = {"Location": f"/api/native/connections/{made.pk}"}
        return Response(outputs.connection(made, notes_on(made)), status=201, headers=headers)


class ConnectionDetail(NativeView):
    """GET, PATCH and DELETE /api/native/connections/{id}"""

    permissions = {"GET": "connections:read", "PATCH": "connections:write", "DELETE": "connections:write"}

    @schema.operation("get_connection", "Get a connection", answers={200: schema.NativeConnection}, problems=[404])
    def get(self, request: FamilyRequest, connection: UUID) -> Response:
        """Return a connection; of its secrets the names of the fields that are set."""
        return Response(outputs.connection(_found(request, connection)))

    @schema.operation(
        "change_connection", "Change a connection", takes=ConnectionPatch, answers={200: schema.NativeConnection},
        problems=[400, 404, 409, 413, 415, 422],
    )  # fmt: skip
    def patch(self, request: FamilyRequest, connection: UUID) -> Response:
        """Change what is given; the rest stays. A connection with a secret does not move to another host."""
        found = _found(request, connection)
        body = ConnectionPatch(data=request.data)
        body.is_valid(raise_exception=True)
        changed = update_connection(connection=found, now=request.now, **_given(body.validated_data))
        return Response(outputs.connection(changed, notes_on(changed)))

    @schema.operation(
        "delete_connection", "Delete a disabled connection", problems=[404, 409],
        answers={204: OpenApiResponse(description="It is gone, its secrets with it.")},
    )  # fmt: skip
    def delete(self, request: FamilyRequest, connection: UUID) -> Response:
        """Delete a connection that is disabled. Disabling is the soft way: it can be taken back."""
        delete_connection(connection=_found(request, connection))
        return Response(status=204)


class ConnectionSecret(NativeView):
    """PUT and DELETE /api/native/connections/{id}/secrets/{field}"""

    permissions = {"PUT": "connections:write", "DELETE": "connections:write"}
    bodies = {"DELETE": Body.NONE}

    @schema.operation(
        "set_secret", "Set a secret of a connection", takes=SecretInput, answers={200: schema.NativeConnection},
        problems=[400, 404, 413, 415, 422],
    )  # fmt: skip
    def put(self, request: FamilyRequest, connection: UUID, field: str) -> Response:
        """Set or replace one secret: token, password, private_key or passphrase. It is never shown again."""
        found = _found(request, connection)
        body = SecretInput(data=request.data)
        body.is_valid(raise_exception=True)
        changed = set_secret(connection=found, field=field, value=body.validated_data["value"], now=request.now)
        return Response(outputs.connection(changed, notes_on(changed)))

    @schema.operation(
        "remove_secret", "Remove a secret of a connection", answers={200: schema.NativeConnection}, problems=[404]
    )
    def delete(self, request: FamilyRequest, connection: UUID, field: str) -> Response:
        """Remove one secret."""
        changed = remove_secret(connection=_found(request, connection), field=field, now=request.now)
        return Response(outputs.connection(changed, notes_on(changed)))


def _found(request: FamilyRequest, pk: UUID) -> Connection:
    return selectors.get_connection_by_id(request.tenant.pk, pk)


def _given(validated: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in validated.items()}


def _later(found: QuerySet[Connection], place: list[str]) -> QuerySet[Connection]:
    return found.filter(Q(name__gt=place[0]) | Q(name=place[0], pk__gt=UUID(place[1])))
