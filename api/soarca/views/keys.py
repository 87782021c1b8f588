"""/keymanagement: the SSH keys that playbooks name. Private keys come in and never go out."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema

from api.base import FamilyRequest, Response
from api.soarca import inputs_fins, schema_fins
from api.soarca.errors import Refused, SoarcaView
from connectors import keys


class Keys(SoarcaView):
    """GET /keymanagement"""

    permissions = {"GET": "keys:write"}

    @extend_schema(operation_id="soarca_list_keys", responses=schema_fins.NAMES)
    def get(self, request: FamilyRequest) -> Response:
        """List the names of the tenant's keys."""
        return Response(keys.list_names(request.tenant))


class Key(SoarcaView):
    """PUT, PATCH and DELETE /keymanagement/{name}"""

    permissions = {"PUT": "keys:write", "PATCH": "keys:write", "DELETE": "keys:write"}

    @extend_schema(operation_id="soarca_add_key", request=schema_fins.KeyPair, responses=schema_fins.EMPTY)
    def put(self, request: FamilyRequest, name: str) -> Response:
        """Add a key pair under a new name."""
        pair = inputs_fins.read_key(request.data)
        try:
            keys.add_key(tenant=request.tenant, name=name, pair=pair, now=request.now)
        except keys.KeyExists as error:
            raise Refused(error.message) from None
        return Response({})

    @extend_schema(operation_id="soarca_replace_key", request=schema_fins.KeyPair, responses=schema_fins.EMPTY)
    def patch(self, request: FamilyRequest, name: str) -> Response:
        """Replace a key pair."""
        pair = inputs_fins.read_key(request.data)
        try:
            keys.replace_key(tenant=request.tenant, name=name, pair=pair, now=request.now)
        except keys.KeyNotFound as error:
            raise Refused(error.message) from None
        return Response({})

    @extend_schema(operation_id="soarca_revoke_key", responses=schema_fins.EMPTY)
    def delete(self, request: FamilyRequest, name: str) -> Response:
        """Revoke a key: it is deleted with its secrets."""
        try:
            keys.revoke_key(tenant=request.tenant, name=name)
        except keys.KeyNotFound as error:
            raise Refused(error.message) from None
        return Response({})
