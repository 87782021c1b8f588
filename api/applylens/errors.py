"""How this family speaks: its envelope of errors, its limits, and the base view."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from api.address import address_of
from api.base import FamilyRequest, FamilyView
from api.errors import Kind, Problem, Refusal
from api.families import Access, Family
from api.throttling import Limit
from core.errors import Conflict

REQUESTS_AN_HOUR: Final = 1_000
HOUR: Final = timedelta(hours=1)
#: one Idempotency-Key with two bodies is a 409; everything else that a state forbids is a 400 here
KEY_REUSED: Final = "start_key_reused"


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    details = {field.path or "body": field.message for field in problem.fields}
    return {"error": {"code": problem.code, "message": problem.message, "details": details}}


def limits(request: FamilyRequest) -> tuple[Limit, ...]:
    return (Limit(name="applylens", subject=address_of(request), limit=REQUESTS_AN_HOUR, window=HOUR),)


FAMILY: Final = Family(
    name="applylens", tag="ApplyLens incidents", error_body=error_body, access=Access(), limits=limits
)


class ApplyLensView(FamilyView):
    family = FAMILY

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, Conflict) and exc.code != KEY_REUSED:
            exc = Refusal(Kind.MALFORMED, exc.message)
        return super().handle_exception(exc)
