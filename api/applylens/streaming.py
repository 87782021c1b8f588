"""The endpoints of the event stream."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.selectors import Caller
from api import clock
from api.applylens import schema
from api.applylens.errors import ApplyLensView
from api.applylens.frames import Subscriber
from api.applylens.inputs import last_event_id
from api.applylens.tokens import LIFETIME, PREFIX, caller_of_token, make_token
from api.authentication import KeyAuthentication, credentials_of
from api.base import Body, FamilyRequest, Response
from api.families import Access
from incidents.timestamps import written

HEADERS = {"Cache-Control": "no-cache", "Connection": "keep-alive", "X-Accel-Buffering": "no"}


class StreamAuthentication(KeyAuthentication):
    """Takes a stream token wherever a key is taken."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        found = credentials_of(request._request, self.access)
        token = next(iter(found), "")
        if len(found) == 1 and token.startswith(PREFIX):
            return AnonymousUser(), caller_of_token(token, now=clock.database_now())
        return super().authenticate(request)


class Events(ApplyLensView):
    """GET /api/sse/events"""

    permissions = {"GET": "incidents:read"}

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [StreamAuthentication(Access(query="token"))]

    @extend_schema(
        operation_id="applylens_stream_events",
        auth=schema.STREAM_AUTH,  # type: ignore[arg-type]  # goes into the schema as it stands
        parameters=schema.STREAM_QUERY,
        responses=schema.EVENT_STREAM,
    )
    def get(self, request: FamilyRequest) -> HttpResponse | StreamingHttpResponse:
        """Stream what happens to the tenant's incidents, as server-sent events."""
        subscriber = Subscriber(request.caller, last_event_id(request))
        if request.method == "HEAD":
            return HttpResponse(content_type="text/event-stream", headers=HEADERS)
        subscriber.take_place()
        return StreamingHttpResponse(subscriber.frames(), content_type="text/event-stream", headers=HEADERS)


class StreamToken(ApplyLensView):
    """POST /api/sse/token"""

    permissions = {"POST": "incidents:read"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(operation_id="applylens_make_stream_token", request=None, responses=schema.ApplyLensStreamToken)
    def post(self, request: FamilyRequest) -> Response:
        """Return a token that opens streams for a minute, for an EventSource, which cannot set headers."""
        expires_at = written(request.now + LIFETIME)
        return Response({"token": make_token(request.caller), "expires_at": expires_at})
