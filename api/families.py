"""What a family tells the shared machinery about itself, and which prefix belongs to which family."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse

from api.errors import Kind, Problem
from core import strict_json

if TYPE_CHECKING:
    from accounts.selectors import Caller
    from api.base import FamilyRequest
    from api.throttling import Limit


@dataclass(frozen=True)
class Access:
    """Which credentials a family takes beside ``Authorization: Bearer`` and ``X-API-Key``.

    ``query`` and ``cookie`` name a query parameter and a cookie; both count on GET and HEAD only (SEC-38, SEC-53).
    ``anonymous`` returns the caller that a request without credentials acts for, or None.
    """

    schemes: frozenset[str] = frozenset({"bearer"})
    query: str | None = None
    cookie: str | None = None
    anonymous: Callable[[HttpRequest], Caller | None] | None = None


@dataclass(frozen=True)
class Family:
    """One way of speaking. ``error_body`` gets the Problem with the family's own status already in it."""

    name: str
    tag: str
    error_body: Callable[[Problem, HttpRequest], Mapping[str, Any]]
    statuses: Mapping[Kind, int] = field(default_factory=lambda: MappingProxyType({}))
    access: Access = Access()
    limits: Callable[[FamilyRequest], tuple[Limit, ...]] | None = None
    content_type: str = "application/json"


def answer(family: Family, problem: Problem, request: HttpRequest) -> HttpResponse:
    """Return the family's answer to a problem."""
    problem = replace(problem, status=family.statuses.get(problem.kind, problem.status))
    body = strict_json.dumps(family.error_body(problem, request))
    response = HttpResponse(body, status=problem.status, content_type=family.content_type)
    for name, value in problem.headers.items():
        response[name] = value
    if problem.retry_after is not None:
        response["Retry-After"] = str(problem.retry_after)
    # Django would log every refusal a second time, at a level of its own; the request has its line already.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _plain_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"error": {"code": problem.code, "message": problem.message, "details": {}}}


#: Speaks for the families that are not built yet, and for API paths that no family owns.
PLAIN = Family(name="plain", tag="Sallyport", error_body=_plain_body)

#: The first prefix that fits decides. Source: contracts/README.md, "Envelopes and errors".
PREFIXES: tuple[tuple[str, str], ...] = (
    ("/api/playbooks/incidents", "applylens"),
    ("/api/incidents", "applylens"),
    ("/api/sse", "applylens"),
    ("/api/playbooks", "s4e"),
    ("/api/soar", "olorin"),
    ("/api/composio", "olorin"),
    ("/api/native", "native"),
    ("/api", "aisoc"),
    ("/auth", "aisoc"),
    ("/graphql", "aisoc"),
    ("/manual", "soarca"),
    ("/playbook", "soarca"),
    ("/trigger", "soarca"),
    ("/reporter", "soarca"),
    ("/status", "soarca"),
    ("/keymanagement", "soarca"),
    ("/fin", "soarca"),
)


def family_name_of(path: str) -> str | None:
    """Return the name of the family a path belongs to, or None outside the API.

    Doubled slashes and capitals find no view, but their refusal is still said in the words of the prefix.
    """
    plain = re.sub(r"/{2,}", "/", path).lower()
    for prefix, name in PREFIXES:
        if plain == prefix or plain.startswith(f"{prefix}/"):
            return name
    return None


def family_of(path: str) -> Family | None:
    name = family_name_of(path)
    return None if name is None else _load(name)


@cache
def _load(name: str) -> Family:
    """Return ``FAMILY`` of ``api/<name>/errors.py``; PLAIN while that family is not built."""
    if find_spec(f"api.{name}") is None or find_spec(f"api.{name}.errors") is None:
        return PLAIN
    family: Family = import_module(f"api.{name}.errors").FAMILY
    return family
