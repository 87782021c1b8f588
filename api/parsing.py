"""Bodies: limits before reading, JSON only, one strict reader (BAD-INPUT.md A, B, E, F, G)."""

from __future__ import annotations

from collections.abc import Collection
from email.message import Message
from enum import StrEnum
from typing import Any, Final

from django.http import HttpRequest

from api.errors import Kind, Refusal
from core import strict_json

MIB: Final = 2**20
BODY_LIMIT: Final = 5 * MIB
LARGE_BODY_LIMIT: Final = 16 * MIB
JSON_TYPES: Final = frozenset({"application/json"})


class Body(StrEnum):
    """What a verb takes."""

    NONE = "none"  # never read
    OBJECT = "object"  # a JSON object
    OPTIONAL = "optional"  # a JSON object; an empty body is {}
    JSON = "json"  # any JSON value
    DOCUMENT = "document"  # JSON octets that the domain reads itself, such as a CACAO playbook


def read_body(
    request: HttpRequest, rule: Body, *, limit: int = BODY_LIMIT, media_types: Collection[str] = JSON_TYPES
) -> tuple[bytes, Any]:
    """Return the octets of the body and what they say; ``(b"", None)`` for NONE, ``(octets, None)`` for DOCUMENT.

    Raises Refusal (TOO_LARGE, MEDIA_TYPE, NOT_OBJECT) and JsonInvalid.
    """
    if rule is Body.NONE:
        return b"", None
    _check_length(request, limit)
    if rule is Body.OPTIONAL and not _may_have_body(request):
        return b"", {}
    _check_media_type(request, media_types)
    octets = _read(request, limit)
    if rule is Body.DOCUMENT:
        return octets, None
    if rule is Body.OPTIONAL and not octets:
        return octets, {}
    value = strict_json.loads(octets)
    if rule is not Body.JSON and not isinstance(value, dict):
        raise Refusal(Kind.NOT_OBJECT)
    return octets, value


def _check_length(request: HttpRequest, limit: int) -> None:
    given = request.META.get("CONTENT_LENGTH") or "0"
    if not (given.isascii() and given.isdigit()):
        raise Refusal(Kind.MALFORMED, "Content-Length must be a number.")
    if len(given) > 18 or int(given) > limit:
        raise Refusal(Kind.TOO_LARGE, f"The body may have {limit // MIB} MiB at most.")


def _may_have_body(request: HttpRequest) -> bool:
    return (request.META.get("CONTENT_LENGTH") or "0").strip("0") != "" or _is_chunked(request)


def _is_chunked(request: HttpRequest) -> bool:
    return bool(request.META.get("HTTP_TRANSFER_ENCODING")) and not request.META.get("CONTENT_LENGTH")


def _check_media_type(request: HttpRequest, media_types: Collection[str]) -> None:
    message = Message()
    message["Content-Type"] = request.META.get("CONTENT_TYPE") or "none/none"
    charset = message.get_param("charset", "utf-8")
    if (
        message.get_content_type() not in media_types
        or not isinstance(charset, str)
        or charset.lower() not in {"utf-8", "utf8"}
        or request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"identity", ""}
    ):
        raise Refusal(Kind.MEDIA_TYPE)


def _read(request: HttpRequest, limit: int) -> bytes:
    # Django's WSGI request reads nothing without a Content-Length: a chunked body is taken from the server itself.
    environ = getattr(request, "environ", {}) if _is_chunked(request) else {}
    octets = environ.get("wsgi.input", request).read(limit + 1)
    if len(octets) > limit:
        raise Refusal(Kind.TOO_LARGE, f"The body may have {limit // MIB} MiB at most.")
    return bytes(octets)
