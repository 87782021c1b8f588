"""Who a fin is: the bearer of a token that it got when it registered."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api import clock
from api.base import FamilyRequest, Kind, Refusal
from api.permissions import verbs_of
from api.soarca.errors import REQUESTS_A_MINUTE, SoarcaView
from api.throttling import Limit
from connectors.fin import selectors, services
from connectors.fin.models import Fin

MALFORMED: Final = "Missing or malformed Authorization header"
UNKNOWN: Final = "Invalid or unknown fin token"
#: where a request that was let in keeps its fin
_FIN: Final = "sallyport.fin"


def is_fin_token(request: HttpRequest) -> bool:
    """Whether the request shows a fin's token, good or not; a key looks otherwise."""
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.partition(" ")
    return scheme.lower() == "bearer" and token.strip().startswith(services.TOKEN_PREFIX)


class FinTokens(BaseAuthentication):
    """Raises UNAUTHORIZED, in the original's words, for everybody but fins."""

    def authenticate(self, request: Request) -> None:
        request._request.META[_FIN] = authenticated(request._request)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class FinView(SoarcaView):
    """A path for fins only. Verbs that it does not have are 405 to everybody."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        method = self.request.method if self.request is not None else None
        return [FinTokens()] if method is None or method in verbs_of(type(self)) else []

    def limits(self, request: FamilyRequest) -> tuple[Limit, ...]:
        return limits_of(fin_of(request))


def limits_of(fin: Fin) -> tuple[Limit, ...]:
    return (Limit(name="soarca", subject=str(fin.pk), limit=REQUESTS_A_MINUTE, window=timedelta(minutes=1)),)


def fin_of(request: FamilyRequest) -> Fin:
    found: Fin = request._request.META[_FIN]
    return found


def authenticated(request: HttpRequest) -> Fin:
    """Return the fin that calls, and note that it was seen. Raises UNAUTHORIZED."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or " " in token.strip():
        raise Refusal(Kind.UNAUTHORIZED, MALFORMED)
    fin = selectors.fin_of_token(token.strip()) if len(token) < 500 else None
    if fin is None:
        raise Refusal(Kind.UNAUTHORIZED, UNKNOWN)
    services.note_seen(fin=fin, now=clock.database_now())
    return fin
