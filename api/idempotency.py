"""Start keys: a request with the same ``Idempotency-Key`` and body starts once (RULINGS 38)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from api.base import FamilyRequest
from api.errors import Kind, Refusal
from api.families import Family

LONGEST: Final = 255


def start_key(request: FamilyRequest, family: Family, route: str) -> tuple[str | None, str]:
    """Return (digest of tenant, family, route and the caller's key, or None without a key; digest of the body).

    ``route`` names what is started, ids included: one key may be used once for each playbook. Two bodies are the
    same when their octets are; an empty one is ``{}``. Raises MALFORMED for a key that is no printable ASCII
    word of 1 to 255 characters.
    """
    body = sha256(request.octets.strip() or b"{}").hexdigest()
    key = request._request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None, body
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable() or " " in key:
        raise Refusal(Kind.MALFORMED, "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.")
    named = "\n".join((str(request.tenant.id), family.name, route, key))
    return sha256(named.encode()).hexdigest(), body
