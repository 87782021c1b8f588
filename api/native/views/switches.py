"""/api/native/switches, /caps and /breakers: what may keep a step from starting."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from api.base import Body, FamilyRequest
from api.native.errors import NativeView
from api.native.inputs_gates import CapInput, LiftInput, SwitchInput
from api.native.outputs_gates import BreakerOutput, BreakerPage, CapOutput, CapPage, SwitchOutput, SwitchPage
from api.native.queries import LARGEST, USUAL, newest_key, page
from api.pagination import one_of
from executions import services
from executions.gate_models import Breaker, Cap, Switch
from executions.gate_selectors import get_breaker, get_cap, get_switch, list_breakers, list_caps, list_switches

Row = TypeVar("Row", bound=Model)

PAGE: Final = [
    OpenApiParameter("cursor", str, description="`next` of the page before."),
    OpenApiParameter("limit", int, default=USUAL, description=f"Items on a page, 1 to {LARGEST}."),
]


class Switches(NativeView):
    """The kill switches over the tenant: its own, and those for all tenants."""

    permissions: ClassVar[dict[str, str]] = {"GET": "settings:read", "POST": "settings:write"}

    @extend_schema(
        operation_id="native_switches",
        summary="List kill switches",
        parameters=[
            OpenApiParameter("show", str, enum=["active", "all"], default="active", description="What is on, or all."),
            *PAGE,
        ],
        responses={200: SwitchPage},
    )
    def get(self, request: FamilyRequest) -> Response:
        show = one_of(request, "show", ("active", "all")) or "active"
        rows = list_switches(request.tenant, active=show == "active")
        found, following = _page(request, rows, name="switches", show=show, at="set_at", key="id")
        return Response({"items": SwitchOutput(found, many=True).data, "next": following})

    @extend_schema(
        operation_id="native_set_switch",
        summary="Set a kill switch",
        description="Nothing that it is over is sent from the answer on, until it is lifted.",
        request=SwitchInput,
        responses={201: SwitchOutput},
    )
    def post(self, request: FamilyRequest) -> Response:
        body = SwitchInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        tenant = None if given.pop("everywhere", False) else request.tenant
        switch = services.set_switch(tenant=tenant, actor=request.actor, now=request.now, **given)
        return Response(SwitchOutput(switch).data, status=201)


class SwitchDetail(NativeView):
    permissions: ClassVar[dict[str, str]] = {"GET": "settings:read"}

    @extend_schema(operation_id="native_switch", summary="Show a kill switch", responses={200: SwitchOutput})
    def get(self, request: FamilyRequest, switch: UUID) -> Response:
        return Response(SwitchOutput(get_switch(request.tenant, switch)).data)


class SwitchLift(NativeView):
    permissions: ClassVar[dict[str, str]] = {"POST": "settings:write"}

    @extend_schema(
        operation_id="native_lift_switch",
        summary="Lift a kill switch",
        description="What waited is dispatched again.",
        request=LiftInput,
        responses={200: SwitchOutput},
    )
    def post(self, request: FamilyRequest, switch: UUID) -> Response:
        body = LiftInput(data=request.data)
        body.is_valid(raise_exception=True)
        found: Switch = services.lift_switch(
            switch=get_switch(request.tenant, switch),
            reason=body.validated_data["reason"],
            actor=request.actor,
            now=request.now,
        )
        return Response(SwitchOutput(found).data)


class Caps(NativeView):
    """How many step runs may run at once."""

    permissions: ClassVar[dict[str, str]] = {"GET": "settings:read", "PUT": "settings:write"}

    @extend_schema(operation_id="native_caps", summary="List caps", parameters=PAGE, responses={200: CapPage})
    def get(self, request: FamilyRequest) -> Response:
        found, following = _page(request, list_caps(request.tenant), name="caps", at="set_at", key="id")
        return Response({"items": CapOutput(found, many=True).data, "next": following})

    @extend_schema(
        operation_id="native_set_cap",
        summary="Set a cap",
        description="A cap over the same thing is replaced. What runs already goes on.",
        request=CapInput,
        responses={200: CapOutput},
    )
    def put(self, request: FamilyRequest) -> Response:
        body = CapInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        cap = services.set_cap(
            tenant=request.tenant,
            kind=given["kind"],
            value=given.get("value", ""),
            most=given["limit"],
            actor=request.actor,
            now=request.now,
        )
        return Response(CapOutput(cap).data)


class CapDetail(NativeView):
    permissions: ClassVar[dict[str, str]] = {"GET": "settings:read", "DELETE": "settings:write"}

    @extend_schema(operation_id="native_cap", summary="Show a cap", responses={200: CapOutput})
    def get(self, request: FamilyRequest, cap: UUID) -> Response:
        return Response(CapOutput(get_cap(request.tenant, cap)).data)

    @extend_schema(operation_id="native_remove_cap", summary="Take a cap away", responses={204: None})
    def delete(self, request: FamilyRequest, cap: UUID) -> Response:
        found: Cap = get_cap(request.tenant, cap)
        services.remove_cap(cap=found, actor=request.actor)
        return Response(status=204)


class Breakers(NativeView):
    """The circuit breakers of connections whose calls failed at some time."""

    permissions: ClassVar[dict[str, str]] = {"GET": "connections:read"}

    @extend_schema(
        operation_id="native_breakers", summary="List circuit breakers", parameters=PAGE, responses={200: BreakerPage}
    )
    def get(self, request: FamilyRequest) -> Response:
        rows = list_breakers(request.tenant)
        found, following = _page(request, rows, name="breakers", at="last_failure_at", key="connection_id")
        return Response({"items": BreakerOutput(found, many=True).data, "next": following})


class BreakerDetail(NativeView):
    permissions: ClassVar[dict[str, str]] = {"GET": "connections:read"}

    @extend_schema(
        operation_id="native_breaker", summary="Show a connection's circuit breaker", responses={200: BreakerOutput}
    )
    def get(self, request: FamilyRequest, connection: str) -> Response:
        return Response(BreakerOutput(get_breaker(request.tenant, connection)).data)


class BreakerClose(NativeView):
    permissions: ClassVar[dict[str, str]] = {"POST": "settings:write"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="native_close_breaker",
        summary="Close a circuit breaker",
        description="What waited for it may call at once.",
        request=None,
        responses={200: BreakerOutput},
    )
    def post(self, request: FamilyRequest, connection: str) -> Response:
        found: Breaker = services.close_breaker(breaker=get_breaker(request.tenant, connection), actor=request.actor)
        return Response(BreakerOutput(found).data)


def _page(
    request: FamilyRequest, rows: QuerySet[Row], *, name: str, at: str, key: str, **filters: str
) -> tuple[list[Row], str | None]:
    """Return one page of rows that are ordered by ``at`` and ``key``, downwards, and the cursor of the next one."""

    def after(found: QuerySet[Row], place: list[str]) -> QuerySet[Row]:
        moment, last = datetime.fromisoformat(place[0]), UUID(place[1])
        return found.filter(Q(**{f"{at}__lt": moment}) | Q(**{at: moment, f"{key}__lt": last}))

    return page(
        request,
        rows,
        name=name,
        filters=filters,
        key=lambda row: newest_key(getattr(row, at), getattr(row, key)),
        after=after,
    )
