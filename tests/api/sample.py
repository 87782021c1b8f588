"""A family of the tests' own, and its URLs: the machinery is tested apart from any contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import OperationalError
from django.http import Http404, HttpRequest
from rest_framework.response import Response

from accounts.models import Tenant
from api.base import Body, FamilyRequest, FamilyView
from api.errors import Problem
from api.families import Access, Family
from api.fields import Choice, Flag, Input, JSONObject, Text, WholeNumber
from api.idempotency import start_key
from api.pagination import page_of
from api.permissions import PUBLIC, SIGNED_IN
from api.routing import routes
from api.throttling import Limit
from core.errors import Conflict, FieldError, Forbidden, Invalid, LimitReached, NotFound, Unavailable


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    fields = [[fault.path, fault.message] for fault in problem.fields]
    return {"code": problem.code, "reason": problem.reason, "message": problem.message, "fields": fields}


def limits(request: FamilyRequest) -> tuple[Limit, ...]:
    allowed = getattr(settings, "SAMPLE_LIMIT", None)
    if allowed is None:
        return ()
    return (Limit("sample", request.actor.id, limit=allowed, burst=1, window=timedelta(seconds=60)),)


FAMILY = Family(
    name="sample", tag="Sample", error_body=error_body, access=Access(query="token", cookie="token"), limits=limits
)


class SampleView(FamilyView):
    family = FAMILY


class StepInput(Input):
    ref = Text(max_length=20)


class ThingInput(Input):
    name = Text(max_length=200)
    count = WholeNumber(min_value=0, max_value=2**31 - 1, required=False)
    loud = Flag(required=False)
    size = Choice(choices=["small", "large"], required=False)
    free = JSONObject(required=False)
    steps = StepInput(many=True, required=False)


class Things(SampleView):
    permissions: ClassVar[dict[str, str]] = {"GET": "playbooks:read", "POST": "playbooks:write"}

    def get(self, request: FamilyRequest) -> Response:
        page = page_of(request)
        return Response({"tenant": request.tenant.slug, "page": page.number, "size": page.size})

    def post(self, request: FamilyRequest) -> Response:
        body = ThingInput(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(body.validated_data, status=201)


class Thing(SampleView):
    permissions: ClassVar[dict[str, str]] = {"GET": SIGNED_IN}

    def get(self, request: FamilyRequest, thing: str) -> Response:
        return Response({"thing": thing})


class Verb(SampleView):
    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:execute"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.OPTIONAL}

    def post(self, request: FamilyRequest) -> Response:
        key, digest = start_key(request, FAMILY, "verb")
        return Response({"got": request.data, "key": key, "digest": digest})


class Document(SampleView):
    permissions: ClassVar[dict[str, str]] = {"POST": "playbooks:write"}
    bodies: ClassVar[dict[str, Body]] = {"POST": Body.DOCUMENT}
    media_types: ClassVar[frozenset[str]] = frozenset({"application/json", "application/cacao+json"})

    def post(self, request: FamilyRequest) -> Response:
        return Response({"length": len(request.octets), "nothing": request.data})


class Open(SampleView):
    permissions: ClassVar[dict[str, str]] = {"GET": PUBLIC}

    def get(self, request: FamilyRequest) -> Response:
        return Response({"known": request.auth is not None})


RAISED: dict[str, Exception] = {
    "invalid": Invalid("No.", fields=[FieldError("a.b", "Wrong.")]),
    "missing": NotFound("Gone."),
    "conflict": Conflict("Busy."),
    "forbidden": Forbidden("Hands off."),
    "limit": LimitReached("Full.", retry_after=7),
    "unavailable": Unavailable("Down.", retry_after=3),
    "database": OperationalError("connection to server at 10.0.0.1 failed"),
    "http404": Http404(),
    "bug": RuntimeError("secret detail"),
}


class Raising(SampleView):
    permissions: ClassVar[dict[str, str]] = {"GET": PUBLIC}

    def get(self, request: FamilyRequest, what: str) -> Response:
        if what == "data":
            Tenant.objects.filter(pk=UUID(int=0)).update(name="x" * 201)
            Tenant.objects.create(slug="x", name="x" * 201, created_at=request.now)
        raise RAISED[what]


class Undeclared(SampleView):
    permissions: ClassVar[dict[str, str]] = {"GET": "playbooks:read"}

    def get(self, request: FamilyRequest) -> Response:
        return Response({})

    def delete(self, request: FamilyRequest) -> Response:
        return Response({"deleted": True})


urlpatterns = routes(
    {
        "/sample": Things,
        "/sample/things/<str:thing>": Thing,
        "/sample/verb": Verb,
        "/sample/document": Document,
        "/sample/open": Open,
        "/sample/undeclared": Undeclared,
        "/sample/raising/<str:what>": Raising,
    }
)
handler404 = "api.outside.not_found"
handler500 = "api.outside.server_error"
