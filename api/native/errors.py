"""Problem details (RFC 9457), and the base view."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest

from api.base import FamilyView
from api.errors import Problem
from api.families import Family


def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.reason,
    }
    if problem.retry_after is not None:
        body["retry_after"] = problem.retry_after
    if problem.fields:
        body["errors"] = [{"path": fault.path, "message": fault.message} for fault in problem.fields]
    if problem.context:
        body["context"] = {name: _plain(value) for name, value in problem.context.items()}
    return body


def _plain(value: Any) -> Any:
    """What is no JSON value by itself (a moment, an id) is said as text."""
    return value if value is None or isinstance(value, bool | int | float | list | dict) else str(value)


FAMILY: Final = Family(name="native", tag="Sallyport", error_body=error_body, content_type="application/problem+json")


class NativeView(FamilyView):
    family = FAMILY
