"""How this family speaks: bare objects, ``{"detail": text}``, and limits by tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest

from api.base import FamilyRequest, FamilyView
from api.errors import Kind, Problem
from api.families import Family
from api.throttling import Limit

MINUTE: Final = timedelta(minutes=1)


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"detail": problem.message}


FAMILY: Final = Family(name="olorin", tag="Olorin SOAR", error_body=error_body, statuses={Kind.INVALID: 400})


class OlorinView(FamilyView):
    """``limit``: name and requests a minute of the tenant."""

    family = FAMILY
    limit: tuple[str, int]

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        return (of_tenant(*self.limit, tenant=str(request.tenant.pk)),)


def of_tenant(name: str, allowed: int, *, tenant: str) -> Limit:
    return Limit(f"olorin.{name}", tenant, limit=allowed, window=MINUTE)
