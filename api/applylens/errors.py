"""How this family speaks: its envelope of errors, its limits, and the base view."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from django.http import HttpRequest

from api.address import address_of
from api.base import FamilyRequest, FamilyView
from api.errors import Kind, Problem
from api.families import Access, Family
from api.throttling import Limit

REQUESTS_AN_HOUR: Final = 1_000


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    code = "bad_request" if problem.kind is Kind.CONFLICT and problem.status == 400 else problem.code
    details = {field.path or "body": field.message for field in problem.fields}
    return {"error": {"code": code, "message": problem.message, "details": details}}


def limits(request: FamilyRequest) -> tuple[Limit, ...]:
    address = address_of(request)
    return (Limit(name="applylens", subject=address, limit=REQUESTS_AN_HOUR, window=timedelta(hours=1)),)


FAMILY: Final = Family(
    name="applylens",
    tag="ApplyLens incidents",
    error_body=error_body,
    statuses=MappingProxyType({Kind.CONFLICT: 400}),
    access=Access(),
    limits=limits,
)


class ApplyLensView(FamilyView):
    family = FAMILY
