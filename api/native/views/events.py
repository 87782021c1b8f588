"""POST /api/native/events: an event from outside, for every trigger that answers to it."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from api.base import FamilyRequest
from api.native import trigger_shapes as shapes
from api.native.errors import NativeView
from executions.services import QueueFull, take_event


class Events(NativeView):
    """POST /api/native/events"""

    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:execute"}

    @extend_schema(
        operation_id="native_emit_event", request=shapes.NativeEventInput, responses={202: shapes.NativeEventTaken}
    )
    def post(self, request: FamilyRequest) -> Response:
        """Start every enabled playbook whose trigger answers. The same id again gives the same executions."""
        body = shapes.NativeEventInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        found = take_event(
            tenant=request.tenant, event=given["event"], data=given["data"], event_id=given.get("id"), now=request.now
        )
        for refused in found.refused:
            # With an id the sender may come again without starting anything twice; without one, only if nothing began.
            if isinstance(refused.error, QueueFull) and ("id" in given or not found.started):
                raise refused.error
        return Response(shapes.taken(given["event"], found), status=202)
