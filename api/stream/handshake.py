"""Who opens a stream: origin, credential, permission (SEC-32). Blocking: it asks the database."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from accounts import selectors, services
from accounts.models import Tenant
from accounts.selectors import Caller
from api import clock
from api.authentication import credentials_of
from api.errors import Refusal
from api.families import Access
from api.stream.closing import Closed, Code

#: A cookie does not count: a browser sends it along from any page.
ACCESS: Final = Access(query="token")
PERMISSION: Final = "playbooks:read"


@dataclass(frozen=True)
class Visitor:
    """A caller with a credential that is looked at again while the stream is open."""

    caller: Caller
    key: str

    def __repr__(self) -> str:
        return f"Visitor({self.caller.actor.name!r})"

    @property
    def tenant(self) -> Tenant:
        return self.caller.tenant

    @property
    def person(self) -> UUID | str:
        """Whose connections count together: all keys of one owner do."""
        return self.caller.actor.person or self.caller.actor.id


def request_of(scope: Mapping[str, Any]) -> HttpRequest:
    """Return the handshake as the GET request that it is. Raises Closed when it cannot be read."""
    try:
        request = ASGIRequest({**scope, "method": "GET"}, io.BytesIO())
        _ = request.GET
    except (SuspiciousOperation, ValueError):
        raise Closed(Code.BAD_REQUEST, "The request could not be read.") from None
    return request


def visitor_of(request: HttpRequest) -> Visitor:
    """Return who opens a stream. Raises Closed: FORBIDDEN for the origin or the permission, else UNAUTHORIZED."""
    if not _is_known_origin(request):
        raise Closed(Code.FORBIDDEN, "Pages of this origin may not open streams.")
    key = _key_of(request)
    caller = services.authenticate_key(key, now=clock.database_now()) if key else None
    if caller is None:
        raise Closed(Code.UNAUTHORIZED, "Credentials are missing or not valid.")
    return _permitted(Visitor(caller, key))


def look_again(visitor: Visitor) -> None:
    """Raises Closed when the credential does not stand for a permitted caller of that tenant any more."""
    caller = selectors.identify(visitor.key, now=clock.database_now())
    if caller is None or caller.tenant != visitor.tenant:
        raise Closed(Code.UNAUTHORIZED, "The credential is no longer valid.")
    _permitted(Visitor(caller, visitor.key))


def _permitted(visitor: Visitor) -> Visitor:
    if not visitor.caller.actor.may(PERMISSION):
        raise Closed(Code.FORBIDDEN, f"This needs the permission {PERMISSION}.")
    return visitor


def _key_of(request: HttpRequest) -> str:
    """Return the one key the handshake carries; "" for none, and for several different ones."""
    try:
        found = credentials_of(request, ACCESS)
    except Refusal:
        return ""
    return next(iter(found)) if len(found) == 1 else ""


def _is_known_origin(request: HttpRequest) -> bool:
    """Programs send no Origin; browsers always do: our own page, or one that the deployment lists."""
    origin = request.headers.get("Origin")
    if origin is None or origin in (settings.SALLYPORT_PUBLIC_URL, *settings.SALLYPORT_ALLOWED_ORIGINS):
        return True
    try:
        named = urlsplit(origin)
    except ValueError:
        return False
    host = request.headers.get("Host", "").lower()
    is_own_page = named.scheme in ("http", "https") and named.netloc.lower() == host
    return is_own_page and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
