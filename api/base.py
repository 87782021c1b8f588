"""FamilyView: the base of every JSON view. How a family uses it:

``api/<family>/errors.py`` says how the family speaks, and makes its base view::

    def error_body(problem: Problem, request: HttpRequest) -> dict[str, Any]:
        return {"status": "error", "error": {"code": problem.code, "message": problem.message}}

    FAMILY = Family(
        name="s4e", tag="S4E playbooks", error_body=error_body,
        statuses={},                                      # such as {Kind.INVALID: 400}; else api/errors.py: WORDS
        access=Access(query="token", cookie="token"),     # beside Bearer and X-API-Key
        limits=limits,                                    # (FamilyRequest) -> tuple[throttling.Limit, ...]
    )

    class S4EView(FamilyView):
        family = FAMILY

``views.py``: each verb declares its permission (a name of ``accounts.permissions``, PUBLIC or SIGNED_IN), else the
server does not start; and its body, unless it is a JSON object::

    class PlaybookRun(S4EView):
        permissions = {"POST": "playbooks:execute"}
        bodies = {"POST": Body.OPTIONAL}                  # empty means {}

        def post(self, request: FamilyRequest, playbook: str) -> Response:
            body = RunInput(data=request.data)
            body.is_valid(raise_exception=True)
            execution = start_execution(tenant=request.tenant, actor=request.actor, now=request.now, ...)
            return Response(...)

``request.data`` is what the strict reader read, ``request.octets`` the body as sent (Body.DOCUMENT: only that);
``request.tenant``, ``request.actor``, ``request.caller`` come from the credential; ``request.now`` is the database's
clock. Views raise domain errors, ``django.http.Http404`` or ``api.errors.Refusal(Kind...)`` and never catch them:
``problem_of`` and the family's ``error_body`` make the answer. A failed serializer is INVALID with ``problem.fields``
such as ``steps[0].action_ref``. Strict serializer fields are in ``api/fields.py``, query parameters and pages in
``api/pagination.py``, start keys in ``api/idempotency.py``.

``urls.py``: ``urlpatterns = routes({"/api/playbooks": views.Playbooks, ...})`` (``api/routing.py``). A view that cannot
be a FamilyView (an event stream) sets ``view.permissions`` on itself and calls ``authentication.caller_of``.

The order of a request: credentials (401), verb and permission (405, 403), limits (429), ids and query
(404, 422), body (413, 415, 400), view.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Tenant
from accounts.selectors import Caller
from api import clock, throttling
from api.authentication import KeyAuthentication
from api.errors import Kind, Problem, Refusal, problem, problem_of
from api.families import Family, answer
from api.parsing import BODY_LIMIT, JSON_TYPES, Body, read_body
from api.permissions import DeclaredPermission, verbs_of
from api.schema import FamilySchema
from core import strict_json
from core.actors import Actor

log = logging.getLogger("api")

__all__ = ["Body", "FamilyRequest", "FamilyView", "Kind", "Problem", "Refusal", "Response"]


class FamilyRequest(Request):
    """A request whose body was read by the strict reader and whose caller is known."""

    octets: bytes = b""
    body: Any = None

    @property
    def data(self) -> Any:
        return self.body

    @property
    def caller(self) -> Caller:
        """Raises UNAUTHORIZED on a public route that was called without credentials."""
        if not isinstance(self.auth, Caller):
            raise Refusal(Kind.UNAUTHORIZED)
        return self.auth

    @property
    def tenant(self) -> Tenant:
        return self.caller.tenant

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @cached_property
    def now(self) -> datetime:
        return clock.database_now()


class StrictJSONRenderer(BaseRenderer):
    """Writes numbers as they were read. Dates, UUIDs and the like are written by DRF's encoder, UTC with ``Z``."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        try:
            return strict_json.dumps(data)
        except TypeError:
            plain: bytes = JSONRenderer().render(data)
            return plain


class AlwaysJSON(BaseContentNegotiation):
    """``Accept`` never refuses (contracts/README.md, 406)."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0] if parsers else None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class FamilyView(APIView):
    family: ClassVar[Family]
    #: verb -> permission, PUBLIC or SIGNED_IN
    permissions: ClassVar[Mapping[str, str]] = {}
    #: verb -> Body; a verb not named here takes OBJECT, but GET and DELETE take NONE
    bodies: ClassVar[Mapping[str, Body]] = {}
    body_limit: ClassVar[int] = BODY_LIMIT
    media_types: ClassVar[Collection[str]] = JSON_TYPES

    renderer_classes = (StrictJSONRenderer,)
    content_negotiation_class = AlwaysJSON
    permission_classes = (DeclaredPermission,)
    schema = FamilySchema()
    versioning_class = None

    standing: throttling.Standing | None = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [KeyAuthentication(self.family.access)]

    def get_permissions(self) -> list[BasePermission]:
        return [DeclaredPermission()]

    def limits(self, request: FamilyRequest) -> tuple[throttling.Limit, ...]:
        """Return the windows this request counts in; a view with its own overrides it."""
        return self.family.limits(request) if self.family.limits else ()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> FamilyRequest:
        return FamilyRequest(
            request,
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        assert isinstance(request, FamilyRequest)
        _check_text(request, kwargs)
        rule = self.bodies.get(request.method or "", _usual_body(request.method))
        request.octets, request.body = read_body(
            request._request, rule, limit=self.body_limit, media_types=self.media_types
        )

    def check_throttles(self, request: Request) -> None:
        assert isinstance(request, FamilyRequest)
        self.standing = throttling.count(self.limits(request))

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(status=200, headers={"Allow": ", ".join(verbs_of(type(self)))})

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        found = problem_of(exc)
        if found is None:
            log.error("A view failed: %s %s", self.request.method, self.request.path, exc_info=exc)
            found = problem(Kind.INTERNAL)
        elif found.kind is Kind.UNAVAILABLE:
            log.warning("Not available: %s", type(exc).__name__)
        return answer(self.family, found, self.request._request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if self.standing and 200 <= response.status_code < 300:
            for name, value in self.standing.headers().items():
                response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}


def _usual_body(method: str | None) -> Body:
    return Body.OBJECT if method in {"POST", "PUT", "PATCH"} else Body.NONE


def _check_text(request: FamilyRequest, kwargs: Mapping[str, Any]) -> None:
    """Refuse control characters in ids (404) and NUL in the query (invalid): PostgreSQL would refuse them as a bug."""
    if any(isinstance(value, str) and not value.isprintable() for value in kwargs.values()):
        raise Refusal(Kind.NOT_FOUND)
    if any("\0" in text for name, values in request._request.GET.lists() for text in (name, *values)):
        raise Refusal(Kind.INVALID, "The query holds the character U+0000.")
