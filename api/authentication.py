"""Who calls: an API key in ``Authorization`` or ``X-API-Key``, elsewhere only where the family says so.

The tenant comes from the credential alone (SEC-25). Every reason for a refusal has the same answer.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import services
from accounts.selectors import Caller
from api import clock
from api.errors import Kind, Refusal
from api.families import Access

LONGEST: Final = 4_096


class KeyAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the Caller, or to None where nothing was sent. Wrong credentials raise UNAUTHORIZED."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        caller = caller_of(request._request, self.access)
        return None if caller is None else (AnonymousUser(), caller)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def caller_of(request: HttpRequest, access: Access) -> Caller | None:
    """Return who calls, None where nothing was sent and the family is not open. Raises UNAUTHORIZED.

    For plain views too, such as event streams.
    """
    keys = credentials_of(request, access)
    if len(keys) > 1:
        raise Refusal(Kind.UNAUTHORIZED)
    for key in keys:
        caller = services.authenticate_key(key, now=clock.database_now())
        if caller is None:
            raise Refusal(Kind.UNAUTHORIZED)
        return caller
    return access.anonymous(request) if access.anonymous else None


def credentials_of(request: HttpRequest, access: Access) -> frozenset[str]:
    """Return the different keys a request carries. A cookie counts only where no key was sent (SEC-53)."""
    found = set()
    if "HTTP_AUTHORIZATION" in request.META:
        found.add(_after_scheme(request.META["HTTP_AUTHORIZATION"], access.schemes))
    if "HTTP_X_API_KEY" in request.META:
        found.add(request.META["HTTP_X_API_KEY"])
    if request.method in {"GET", "HEAD"}:
        if access.query and access.query in request.GET:
            found.update(request.GET.getlist(access.query))
        if not found and access.cookie and access.cookie in request.COOKIES:
            found.add(request.COOKIES[access.cookie])
    if any(not _is_credential(key) for key in found):
        raise Refusal(Kind.UNAUTHORIZED)
    return frozenset(found)


def _after_scheme(header: str, schemes: frozenset[str]) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip(" ") if scheme.lower() in schemes else ""


def _is_credential(key: str) -> bool:
    return 0 < len(key) <= LONGEST and key.isascii() and key.isprintable() and " " not in key and "," not in key
