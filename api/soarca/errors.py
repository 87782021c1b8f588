"""How this family speaks: its envelope, who may call it, its limit, and the base view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.selectors import Caller, open_caller
from api.address import address_of
from api.base import FamilyRequest, FamilyView
from api.errors import Kind, Problem, Refusal
from api.families import Access, Family
from api.permissions import DeclaredPermission
from api.throttling import Limit
from core.actors import ActorKind
from core.errors import Invalid, NotFound
from playbooks.services import as_json

#: What a request without credentials may do where SALLYPORT_SOARCA_OPEN_TENANT opens this family.
OPEN_PERMISSIONS: Final = frozenset(
    {"playbooks:read", "playbooks:write", "playbooks:execute", "manual:read", "manual:respond", "fins:read"}
)
OPEN_NAME: Final = "anonymous"
REQUESTS_A_MINUTE: Final = 600
_LONGEST_PATH: Final = 300


class Refused(Invalid):
    """A refusal in this family's words. ``context``: ``downstream`` is the reason, ``findings`` are the import's."""

    code = "refused"


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    """Return the envelope of every answer that is no success: the status is text, the reason beside the message.

    A refused playbook comes with all that the import found (CACAO.md 13.5).
    """
    body: dict[str, Any] = {
        "status": str(problem.status),
        "message": problem.message,
        "original-call": f"{request.method} {request.path[:_LONGEST_PATH]}",
        "downstream-call": str(problem.context.get("downstream", "")),
    }
    if "findings" in problem.context:
        body["findings"] = [as_json(finding) for finding in problem.context["findings"]]
    return body


@contextmanager
def refusing(words: str) -> Iterator[None]:
    """Say every refusal of the input, and of an unknown playbook, as "<words>: <reason>" with status 400."""
    try:
        yield
    except (Invalid, NotFound) as error:
        reason = f"{words}: {error.message}"
        raise Refused(reason, fields=error.fields, **error.context) from error


def open_access(request: HttpRequest) -> Caller | None:
    slug: str | None = settings.SALLYPORT_SOARCA_OPEN_TENANT
    return open_caller(slug, permissions=OPEN_PERMISSIONS, name=OPEN_NAME) if slug else None


def limits(request: FamilyRequest) -> tuple[Limit, ...]:
    """Count by key, or by address where the family is open."""
    known = isinstance(request.auth, Caller) and request.actor.kind is not ActorKind.SYSTEM
    subject = request.actor.id if known else address_of(request)
    return (Limit(name="soarca", subject=subject, limit=REQUESTS_A_MINUTE, window=timedelta(minutes=1)),)


FAMILY: Final = Family(
    name="soarca",
    tag="SOARCA",
    error_body=error_body,
    statuses=MappingProxyType({Kind.INVALID: 400}),
    access=Access(anonymous=open_access),
    limits=limits,
)


class OpenPermission(DeclaredPermission):
    """What the open tenant may not do without credentials asks for them, instead of being forbidden."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        try:
            return super().has_permission(request, view)
        except Refusal as refusal:
            caller = request.auth
            if refusal.kind is Kind.FORBIDDEN and isinstance(caller, Caller) and caller.actor.kind is ActorKind.SYSTEM:
                raise Refusal(Kind.UNAUTHORIZED) from None
            raise


class SoarcaView(FamilyView):
    family = FAMILY

    def get_permissions(self) -> list[BasePermission]:
        return [OpenPermission()]
