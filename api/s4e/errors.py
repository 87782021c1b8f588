"""How this family speaks: its envelopes, its tiers of limits, and the base view."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest

from accounts.models import RateTier
from api.base import FamilyRequest, FamilyView, Response
from api.errors import Kind, Problem
from api.families import Access, Family
from api.throttling import Limit

#: tier -> (requests a minute, burst)
TIERS: Final = {
    RateTier.STANDARD: (100, 20),
    RateTier.PREMIUM: (1_000, 100),
    RateTier.ENTERPRISE: (10_000, 500),
}


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    error: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.kind is Kind.INVALID or problem.fields:
        error["details"] = [{"path": field.path, "message": field.message} for field in problem.fields]
    if problem.retry_after is not None:
        error["retry_after"] = problem.retry_after
    return {"status": "error", "error": error}


def limits(request: FamilyRequest) -> tuple[Limit, ...]:
    limit, burst = TIERS[RateTier(request.tenant.rate_tier)]
    return (Limit(name="s4e", subject=request.actor.id, limit=limit, burst=burst, window=timedelta(minutes=1)),)


FAMILY: Final = Family(
    name="s4e",
    tag="S4E playbooks",
    error_body=error_body,
    access=Access(query="token", cookie="token"),
    limits=limits,
)


class S4EView(FamilyView):
    family = FAMILY


def enveloped(data: Any, *, status: int = 200, meta: dict[str, Any] | None = None) -> Response:
    return Response({"data": data} if meta is None else {"data": data, "meta": meta}, status=status)
