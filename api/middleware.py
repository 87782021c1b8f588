"""What holds for every answer: a request id, the headers of SEC-55, one line in the log, and CORS (SEC-54).

The three classes stand first in MIDDLEWARE, in the order in which they stand here, so that answers made outside of
views have all of it too.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers

from api.families import family_name_of
from api.permissions import verbs_of

log = logging.getLogger("api.requests")

#: The id of the request that is being answered; "" outside of requests. Every log line carries it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_ID_FORM: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_ALLOWED_HEADERS: Final = "content-type, authorization, x-api-key, idempotency-key"
_JSON_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class Middleware:
    """Runs ``before`` and ``after`` around the rest, under WSGI and ASGI alike."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(cast("Any", self))

    def __call__(self, request: HttpRequest) -> Answer:
        if self.is_async:
            return self._answer(request)
        response = self.before(request) or cast("HttpResponseBase", self.get_response(request))
        return self.after(request, response)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.before(request) or await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        return self.after(request, response)

    def before(self, request: HttpRequest) -> HttpResponseBase | None:
        return None

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response


class RequestId(Middleware):
    """Gives each request an id, the caller's own if it is well-formed, and writes one line when it is answered."""

    def before(self, request: HttpRequest) -> None:
        given = request.headers.get("X-Request-ID", "")
        request_id.set(given if _ID_FORM.fullmatch(given) else uuid.uuid4().hex)
        request.META["sallyport.started"] = time.monotonic()

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response["X-Request-ID"] = request_id.get()
        milliseconds = (time.monotonic() - request.META["sallyport.started"]) * 1000
        level = logging.DEBUG if request.path.startswith("/health/") else logging.INFO
        # The path without its query: a query may hold a key (SEC-32).
        log.log(level, "%s %s %d %.0f ms", request.method, request.path, response.status_code, milliseconds)
        return response


class AnswerHeaders(Middleware):
    """Tells browsers what they may do with an answer."""

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY if is_page else _JSON_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        # Under no-referrer a browser sends "Origin: null" with a page's own forms, which the CSRF check refuses.
        response.headers["Referrer-Policy"] = "same-origin" if is_page else "no-referrer"
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        if family_name_of(request.path) or _has_credential(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class CrossOrigin(Middleware):
    """CORS: the SOARCA roots for ``SOARCA_ALLOWED_ORIGINS``, other families for ``SALLYPORT_ALLOWED_ORIGINS``.

    A preflight passes without credentials; cookies are never allowed along. Source: contracts/soarca.md, Access.
    """

    def before(self, request: HttpRequest) -> HttpResponse | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        verbs = _verbs_at(request.path_info) if family_name_of(request.path) else None
        if verbs is None:
            return None
        response = HttpResponse(status=204, headers={"Allow": ", ".join(verbs)})
        if _allowed_origin(request):
            response["Access-Control-Allow-Methods"] = ", ".join(verbs)
            response["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response["Access-Control-Max-Age"] = "600"
        return response

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not family_name_of(request.path):
            return response
        allowed = _allowed_origin(request)
        if allowed:
            response["Access-Control-Allow-Origin"] = allowed
        if "*" not in _origins(request):
            patch_vary_headers(response, ["Origin"])
        return response


def _origins(request: HttpRequest) -> tuple[str, ...]:
    is_soarca = family_name_of(request.path) == "soarca"
    return tuple(settings.SOARCA_ALLOWED_ORIGINS if is_soarca else settings.SALLYPORT_ALLOWED_ORIGINS)


def _allowed_origin(request: HttpRequest) -> str | None:
    """Return the value of Access-Control-Allow-Origin: ``*``, the one listed origin that asks, or None."""
    origins = _origins(request)
    if "*" in origins:
        return "*"
    origin = request.headers.get("Origin", "")
    return origin if origin in origins and origin != "null" else None


def _verbs_at(path: str) -> tuple[str, ...] | None:
    try:
        view = resolve(path).func
    except Resolver404:
        return None
    view_class = getattr(view, "view_class", None)
    return verbs_of(view_class) if view_class else tuple(getattr(view, "permissions", {"GET": ""}))


def _has_credential(request: HttpRequest) -> bool:
    return any(request.META.get(name) for name in ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_COOKIE"))


def stamp_log_records() -> None:
    """Make every log record carry the id of the request it was written for, as ``record.request_id``."""
    make = logging.getLogRecordFactory()

    def stamped(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.request_id = request_id.get()
        return record

    logging.setLogRecordFactory(stamped)
