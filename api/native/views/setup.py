"""POST /api/native/setup: the first administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.installing import use_first_token
from api.address import address_of
from api.base import FamilyRequest
from api.native.errors import NativeView
from api.native.inputs import SetupInput
from api.permissions import PUBLIC
from api.throttling import Limit

SetupOutput = inline_serializer(
    "SetupOutput",
    {"tenant": serializers.CharField(), "email": serializers.CharField(), "api_key": serializers.CharField()},
)


class Setup(NativeView):
    """Make the first administrator with the token that ``manage.py first_token`` printed."""

    permissions: ClassVar[dict[str, str]] = {"POST": PUBLIC}

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        return (Limit("native.setup", address_of(request), limit=10, window=timedelta(minutes=1)),)

    @extend_schema(request=SetupInput, responses={201: SetupOutput}, operation_id="setup")
    def post(self, request: FamilyRequest) -> Response:
        body = SetupInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        owner = use_first_token(
            token=given["token"],
            slug=given["tenant"],
            name=given.get("tenant_name", given["tenant"]),
            email=given["email"],
            password=given["password"],
            now=request.now,
        )
        made = {"tenant": owner.tenant.slug, "email": owner.user.email, "api_key": owner.api_key}
        return Response(made, status=201)
