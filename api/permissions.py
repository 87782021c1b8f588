"""Each view says, verb by verb, which permission it takes; what says nothing is closed (SEC-26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.selectors import Caller
from api.errors import Kind, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Anybody, without credentials; credentials that are sent all the same must be good.
PUBLIC: Final = "public"
#: Any known caller, whatever they may do.
SIGNED_IN: Final = "signed-in"

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class DeclaredPermission(BasePermission):
    """Compares ``view.permissions[verb]`` with what the caller may do. HEAD counts as GET."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method, caller = request.method or "", request.auth
        # Strangers do not learn which verbs a closed path knows (SEC-56).
        if not isinstance(caller, Caller) and not is_public(view, method):
            raise Refusal(Kind.UNAUTHORIZED)
        needed = permission_for(view, method)
        if needed == PUBLIC:
            return True
        assert isinstance(caller, Caller)
        if needed == SIGNED_IN:
            return True
        if needed is None or not caller.actor.may(needed):
            raise Refusal(Kind.FORBIDDEN, _message(needed))
        return True


def is_public(view: APIView, method: str) -> bool:
    """Whether a verb asks for no credentials; a verb the view does not have is public where all others are."""
    declared: Mapping[str, str] = getattr(view, "permissions", {})
    if method in verbs_of(type(view)):
        return declared.get("GET" if method == "HEAD" else method) == PUBLIC
    return method != "OPTIONS" and set(declared.values()) == {PUBLIC}


def permission_for(view: APIView, method: str) -> str | None:
    """Return the permission a verb of the view takes; None closes it. A verb the view does not have raises METHOD."""
    if method == "OPTIONS":
        return SIGNED_IN
    allowed = verbs_of(type(view))
    if method not in allowed:
        raise Refusal(Kind.METHOD, headers={"Allow": ", ".join(allowed)})
    declared: Mapping[str, str] = getattr(view, "permissions", {})
    return declared.get("GET" if method == "HEAD" else method)


def verbs_of(view_class: type[APIView]) -> tuple[str, ...]:
    """Return the verbs a view answers, HEAD beside GET, as its Allow header lists them."""
    verbs = [verb for verb in VERBS if hasattr(view_class, verb.lower())]
    return ("GET", "HEAD", *verbs[1:]) if "GET" in verbs else tuple(verbs)


def _message(needed: str | None) -> str:
    return f"This needs the permission {needed}." if needed else ""
