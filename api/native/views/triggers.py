"""Triggers of a tenant: listed, made, changed, removed, fired by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from api.base import Body, FamilyRequest
from api.idempotency import start_key
from api.native import trigger_shapes as shapes
from api.native.errors import FAMILY, NativeView
from api.native.queries import page
from api.pagination import one_of
from core.errors import FieldError
from executions.services import fire_by_hand
from playbooks import selectors, services
from playbooks.events import EVENTS
from playbooks.models import Playbook, Trigger
from playbooks.schedules import LONGEST_CRON, cron_fault
from playbooks.services import TriggerInvalid

_FILTERS = ("event", "playbook", "enabled")


class Triggers(NativeView):
    """GET and POST /api/native/triggers"""

    permissions: ClassVar[dict[str, str]] = {"GET": "playbooks:read", "POST": "playbooks:write"}

    @extend_schema(
        operation_id="native_list_triggers",
        parameters=[
            OpenApiParameter("event", str, enum=EVENTS),
            OpenApiParameter("playbook", str, description="pb-<slug> or playbook--<uuid>."),
            OpenApiParameter("enabled", str, enum=["true", "false"]),
            OpenApiParameter("limit", int, default=50, description="From 1 to 100."),
            OpenApiParameter("cursor", str, description="`next` of the page before, with the same filters."),
        ],
        responses=shapes.NativeTriggerPage,
    )
    def get(self, request: FamilyRequest) -> Response:
        """List triggers, the newest first; those of playbooks' documents among them."""
        rows, following = page(
            request,
            _filtered(request),
            name="triggers",
            filters={name: request.query_params.get(name) for name in _FILTERS},
            key=lambda row: [str(row.pk)],
            after=lambda found, place: found.filter(pk__lt=UUID(place[0])),
        )
        return Response({"items": [shapes.shown(row, now=request.now) for row in rows], "next": following})

    @extend_schema(
        operation_id="native_create_trigger",
        request=shapes.NativeTriggerInput,
        responses={201: shapes.NativeTriggerMade},
    )
    def post(self, request: FamilyRequest) -> Response:
        """Make a trigger of a playbook. The secret of a webhook is shown in this answer alone."""
        body = shapes.NativeTriggerInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        playbook = _playbook(request, given.pop("playbook"))
        made = services.create_trigger(playbook=playbook, **given)
        return Response({**shapes.shown(made.trigger, now=request.now), "secret": made.secret}, status=201)


class TriggerPreview(NativeView):
    """GET /api/native/triggers/preview"""

    permissions: ClassVar[dict[str, str]] = {"GET": "playbooks:read"}

    @extend_schema(
        operation_id="native_preview_schedule",
        parameters=[OpenApiParameter("cron", str, required=True, description="A cron line of five fields, UTC.")],
        responses=shapes.NativeFires,
    )
    def get(self, request: FamilyRequest) -> Response:
        """Show the next five fires of a cron line."""
        cron = request.query_params.get("cron", "")
        fault = cron_fault(cron)
        if fault:
            raise TriggerInvalid.of([FieldError("cron", fault)])
        return Response({"cron": cron[:LONGEST_CRON], "next_fires": shapes.fires(cron, request.now)})


class TriggerDetail(NativeView):
    """GET, PATCH and DELETE /api/native/triggers/{id}"""

    permissions: ClassVar[dict[str, str]] = {
        "GET": "playbooks:read",
        "PATCH": "playbooks:write",
        "DELETE": "playbooks:write",
    }

    @extend_schema(operation_id="native_get_trigger", responses=shapes.NativeTrigger)
    def get(self, request: FamilyRequest, trigger: UUID) -> Response:
        """Return a trigger: what it waits for, when it is due, and what became of its last start."""
        return Response(shapes.shown(selectors.get_trigger(request.tenant, trigger), now=request.now))

    @extend_schema(
        operation_id="native_change_trigger", request=shapes.NativeTriggerChange, responses=shapes.NativeTrigger
    )
    def patch(self, request: FamilyRequest, trigger: UUID) -> Response:
        """Change what is given. Event and playbook stay; the conditions and cron line of a document's trigger too."""
        found = selectors.get_trigger(request.tenant, trigger)
        body = shapes.NativeTriggerChange(data=request.data)
        body.is_valid(raise_exception=True)
        changed = services.change_trigger(trigger=found, **body.validated_data)
        return Response(shapes.shown(changed, now=request.now))

    @extend_schema(operation_id="native_delete_trigger", responses={204: None})
    def delete(self, request: FamilyRequest, trigger: UUID) -> Response:
        """Take a trigger away; what it started stays."""
        services.delete_trigger(trigger=selectors.get_trigger(request.tenant, trigger))
        return Response(status=204)


class TriggerSecret(NativeView):
    """POST /api/native/triggers/{id}/rotate-secret"""

    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:write"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="native_rotate_trigger_secret",
        request=shapes.NativeRotateInput,
        responses=shapes.NativeTriggerMade,
    )
    def post(self, request: FamilyRequest, trigger: UUID) -> Response:
        """Give a webhook trigger a new secret, shown in this answer alone. The old one stays good for a while."""
        found = selectors.get_trigger(request.tenant, trigger)
        body = shapes.NativeRotateInput(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        made = services.rotate_secret(trigger=found, overlap=overlap)
        return Response({**shapes.shown(made.trigger, now=request.now), "secret": made.secret})


class TriggerFire(NativeView):
    """POST /api/native/triggers/{id}/fire"""

    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:execute"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="native_fire_trigger", request=shapes.NativeFireInput, responses={202: shapes.NativeHookTaken}
    )
    def post(self, request: FamilyRequest, trigger: UUID) -> Response:
        """Start what the trigger starts, now, whatever its conditions and whether it is enabled."""
        found = selectors.get_trigger(request.tenant, trigger)
        key, digest = start_key(request, FAMILY, f"fire {found.pk}")
        body = shapes.NativeFireInput(data=request.data)
        body.is_valid(raise_exception=True)
        execution = fire_by_hand(
            trigger=found, data=body.validated_data["data"], actor=request.actor, now=request.now,
            start_key=key, start_digest=digest,
        )  # fmt: skip
        return Response({"trigger_id": str(found.pk), "started": shapes.started([execution])}, status=202)


def _filtered(request: FamilyRequest) -> QuerySet[Trigger]:
    found = selectors.list_all_triggers(request.tenant)
    event = one_of(request, "event", EVENTS)
    if event is not None:
        found = found.filter(event=event)
    enabled = one_of(request, "enabled", ("true", "false"))
    if enabled is not None:
        found = found.filter(is_enabled=enabled == "true")
    playbook = request.query_params.get("playbook")
    if playbook is not None:
        found = found.filter(playbook=_playbook(request, playbook))
    return found


def _playbook(request: FamilyRequest, reference: str) -> Playbook:
    """Return the playbook that a reference names, in either of its ids. Raises TriggerInvalid."""
    found: Playbook | None = None
    if reference.isprintable() and reference.startswith("pb-"):
        found = selectors.list_playbooks(request.tenant).filter(slug=reference.removeprefix("pb-")).first()
    elif reference.isprintable():
        found = selectors.find_by_cacao_id(request.tenant, reference)
    if found is None:
        raise TriggerInvalid.of([FieldError("playbook", "There is no such playbook; give pb-<slug> or its CACAO id.")])
    return found
