"""The OpenAPI document and a page to browse it: open in development, with a permission elsewhere (SEC-56)."""

from __future__ import annotations

from functools import cache
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from accounts.models import User
from accounts.selectors import caller_of_user
from api.authentication import caller_of
from api.errors import Kind, Refusal, problem_of
from api.families import PLAIN, Access, answer
from core import strict_json

PERMISSION: Final = "playbooks:read"


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """GET /api/schema: OpenAPI 3.1 as JSON."""
    return _refusal(request) or HttpResponse(document(), content_type="application/json")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """GET /api/docs: Swagger UI over that document."""
    return _refusal(request) or render(request, "api/docs.html")


@cache
def document() -> bytes:
    """Return the document; routes do not change while a process lives."""
    return strict_json.dumps(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a caller who may not see it. People come with their admin session, programs with a key."""
    if settings.SALLYPORT_DEVELOPMENT:
        return None
    try:
        _check(request)
    except Exception as error:
        found = problem_of(error)
        if found is None:
            raise
        return answer(PLAIN, found, request)
    return None


def _check(request: HttpRequest) -> None:
    user: User | AnonymousUser = request.user
    caller = caller_of(request, Access()) or (caller_of_user(user) if isinstance(user, User) else None)
    if caller is None:
        raise Refusal(Kind.UNAUTHORIZED)
    if not caller.actor.may(PERMISSION):
        raise Refusal(Kind.FORBIDDEN)
