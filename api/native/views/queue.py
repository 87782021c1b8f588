"""/api/native/queue: figures, of the own tenant or of the installation."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter

from accounts.permissions import PLATFORM
from api.base import FamilyRequest, Kind, Refusal, Response
from api.native import outputs, queries, schema
from api.native.errors import NativeView
from executions.selectors import queue_figures

PERMISSION = "tenant:read"


class Queue(NativeView):
    """GET /api/native/queue"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation(
        "get_queue", "Figures of the queue", answers={200: schema.NativeQueue}, problems=[422],
        query=[
            OpenApiParameter(
                "all", bool, default=False, description="Of all tenants: role platform_admin with tenant:read."
            )
        ],
    )  # fmt: skip
    def get(self, request: FamilyRequest) -> Response:
        """Return what is due, runs and waits, how full the queue is, who works, and what recovery left lying."""
        wants_all = queries.flag(request, "all")
        actor = request.actor
        if wants_all and not (PLATFORM in actor.roles and actor.may(PERMISSION)):
            raise Refusal(Kind.FORBIDDEN, f"This needs the role {PLATFORM} with the permission {PERMISSION}.")
        return Response(outputs.queue(queue_figures(None if wants_all else request.tenant)))
