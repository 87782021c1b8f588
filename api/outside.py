"""Answers made outside of any view: unknown paths, refused requests, failures in middleware. JSON by prefix, no HTML.

``config/urls.py`` names these as Django's handlers.
"""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from api.errors import Kind, problem, problem_of
from api.families import PLAIN, answer, family_of


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, Kind.MALFORMED) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, Kind.FORBIDDEN) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, Kind.NOT_FOUND) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django has logged the exception; here it only decides between 500 and 503."""
    error = sys.exc_info()[1]
    known = problem_of(error) if error else None
    kind = known.kind if known and known.kind is Kind.UNAVAILABLE else Kind.INTERNAL
    return _answer(request, kind) or defaults.server_error(request)


def _answer(request: HttpRequest, kind: Kind) -> HttpResponse | None:
    """Return the answer in the words of the path's family; None for the pages of the admin."""
    if request.path.startswith(("/admin/", "/static/")):
        return None
    retry_after = 5 if kind is Kind.UNAVAILABLE else None
    return answer(family_of(request.path) or PLAIN, problem(kind, retry_after=retry_after), request)
