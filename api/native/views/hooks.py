"""POST /api/native/hooks/{trigger}: a request that is signed with the trigger's own secret (SEC-43, SEC-44)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.response import Response

from api.address import address_of
from api.base import Body, FamilyRequest
from api.errors import Kind, Refusal
from api.native import trigger_shapes as shapes
from api.native.errors import NativeView
from api.parsing import MIB
from api.permissions import PUBLIC
from api.throttling import Limit
from core import strict_json
from executions.services import take_hook
from playbooks import hooks
from playbooks.models import Trigger
from playbooks.selectors import find_hook

MINUTE: Final = timedelta(minutes=1)
#: printable ASCII without spaces, as an Idempotency-Key
_ID: Final = re.compile(r"[!-~]{1,255}")
_HEADERS: Final = [
    OpenApiParameter("X-Sallyport-Timestamp", str, OpenApiParameter.HEADER, description="Seconds since 1970."),
    OpenApiParameter("X-Sallyport-Event-Id", str, OpenApiParameter.HEADER, description="The sender's id, if any."),
    OpenApiParameter(
        "X-Sallyport-Signature", str, OpenApiParameter.HEADER, description="sha256=<64 hexadecimal digits>."
    ),
]


@dataclass(frozen=True)
class Delivery:
    """A request as it came: what is signed, by which signature, and the id it gives itself. Nothing is checked yet."""

    signature: str
    signed: bytes
    timestamp: str | None
    event_id: str


class Hook(NativeView):
    permissions: ClassVar[dict[str, str]] = {"POST": PUBLIC}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.DOCUMENT}
    body_limit: ClassVar[int] = MIB

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The signature is the credential; whatever else a sender puts into Authorization is its own affair."""
        return []

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        """By address too, so that nobody but its sender uses up a trigger's window."""
        address = address_of(request)
        return (
            Limit("native.hook", f"{self.kwargs['trigger']} {address}", limit=300, window=MINUTE),
            Limit("native.hooks", address, limit=1_200, window=MINUTE),
        )

    @extend_schema(
        operation_id="native_webhook",
        parameters=_HEADERS,
        request=OpenApiTypes.OBJECT,
        responses={202: shapes.NativeHookTaken},
        auth=[],
    )
    def post(self, request: FamilyRequest, trigger: str) -> Response:
        """Start the playbook of a webhook trigger. The request is signed with the trigger's secret."""
        found = _find(trigger)
        delivery = _delivery(request, found)
        is_good = hooks.is_signed(found, signature=delivery.signature, text=delivery.signed, now=request.now)
        is_fresh = delivery.timestamp is None or hooks.is_fresh(delivery.timestamp, now=request.now)
        if not (found and is_good and is_fresh):
            raise Refusal(
                Kind.UNAUTHORIZED,
                "The trigger, its signature or the time of the request is not valid.",
                headers={"WWW-Authenticate": "Signature"},
            )
        execution = take_hook(
            trigger=found,
            data=_object(request.octets),
            now=request.now,
            event_id=_event_id(delivery.event_id),
            signed=delivery.signed,
        )
        body: dict[str, Any] = {
            "trigger_id": str(found.pk),
            "started": shapes.started([execution] if execution else []),
        }
        if execution is None:
            body["why"] = "The conditions of the trigger are not met."
        return Response(body, status=202)


def _find(reference: str) -> Trigger | None:
    try:
        return find_hook(UUID(reference))
    except ValueError:
        return None


def _delivery(request: FamilyRequest, trigger: Trigger | None) -> Delivery:
    meta = request._request.META
    if trigger is not None and trigger.signature == Trigger.Signature.GITHUB:
        return Delivery(
            signature=meta.get("HTTP_X_HUB_SIGNATURE_256", ""),
            signed=request.octets,
            timestamp=None,
            event_id=meta.get("HTTP_X_GITHUB_DELIVERY", ""),
        )
    timestamp, event_id = meta.get("HTTP_X_SALLYPORT_TIMESTAMP", ""), meta.get("HTTP_X_SALLYPORT_EVENT_ID", "")
    return Delivery(
        signature=meta.get("HTTP_X_SALLYPORT_SIGNATURE", ""),
        signed=hooks.signed_text(timestamp=timestamp, event_id=event_id, body=request.octets),
        timestamp=timestamp,
        event_id=event_id,
    )


def _event_id(given: str) -> str | None:
    if given and not _ID.fullmatch(given):
        raise Refusal(Kind.MALFORMED, "The event's id must be 1 to 255 printable ASCII characters without spaces.")
    return given or None


def _object(octets: bytes) -> Mapping[str, Any]:
    found = strict_json.loads(octets)
    if not isinstance(found, dict):
        raise Refusal(Kind.NOT_OBJECT)
    return found
