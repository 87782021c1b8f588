"""Query parameters and pages: ASCII digits in range, named filters, signed cursors (SEC-57, BAD-INPUT.md L)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.request import Request

from api.errors import Kind, Refusal
from core.errors import FieldError, Invalid

Row = TypeVar("Row", bound=Model)

MOST_PAGES: Final = 1_000_000_000
LONGEST_CURSOR: Final = 2_048
_MAC_LENGTH: Final = 32


def whole_number(request: Request, name: str, *, default: int, minimum: int, maximum: int) -> int:
    """Return a query parameter as a number. Raises Invalid unless it is ASCII digits within the range."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit()) or len(given) > 18 or not minimum <= int(given) <= maximum:
        raise _refused(name, f"must be a whole number from {minimum} to {maximum}")
    return int(given)


def one_of(request: Request, name: str, words: Collection[str]) -> str | None:
    """Return a query parameter that is one of ``words``, or None when it is not given. Raises Invalid."""
    given = request.query_params.get(name)
    if given is not None and given not in words:
        raise _refused(name, f"must be one of {', '.join(sorted(words))}")
    return given


def _refused(name: str, message: str) -> Invalid:
    return Invalid(f"{name}: {message}.", fields=[FieldError(name, message)])


@dataclass(frozen=True)
class Page:
    """A page by number, counted from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


def page_of(
    request: Request, *, size: int = 20, largest: int = 100, number_name: str = "page", size_name: str = "per_page"
) -> Page:
    """Return the page that the query asks for. Raises Invalid."""
    return Page(
        number=whole_number(request, number_name, default=1, minimum=1, maximum=MOST_PAGES),
        size=whole_number(request, size_name, default=size, minimum=1, maximum=largest),
    )


def cut(queryset: QuerySet[Row], page: Page) -> tuple[list[Row], int]:
    """Return the rows of a page and how many there are on all pages."""
    return list(queryset[page.offset : page.offset + page.size]), queryset.count()


@dataclass(frozen=True)
class CursorScope:
    """What a cursor is good for: one list of one tenant with the same filters."""

    tenant: UUID
    name: str
    filters: Mapping[str, Any]

    def digest(self) -> str:
        filters = json.dumps(self.filters, sort_keys=True, default=str)
        return hashlib.sha256(f"1\n{self.tenant}\n{self.name}\n{filters}".encode()).hexdigest()


def write_cursor(position: Sequence[str], *, scope: CursorScope) -> str:
    """Return a cursor for the sort key and id of the last row shown, as text."""
    body = json.dumps(list(position), separators=(",", ":")).encode()
    return urlsafe_b64encode(_mac(body, scope) + body).decode().rstrip("=")


def read_cursor(cursor: str, *, scope: CursorScope) -> list[str]:
    """Return what ``write_cursor`` was given. Raises MALFORMED for anything else, alike for every reason."""
    try:
        if len(cursor) > LONGEST_CURSOR or not cursor.isascii():
            raise ValueError("too long")
        octets = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if urlsafe_b64encode(octets).decode().rstrip("=") != cursor:
            raise ValueError("not as written")
    except ValueError:
        raise Refusal(Kind.MALFORMED, "The cursor is not valid.") from None
    mac, body = octets[:_MAC_LENGTH], octets[_MAC_LENGTH:]
    if not constant_time_compare(mac, _mac(body, scope)):
        raise Refusal(Kind.MALFORMED, "The cursor is not valid.")
    position: list[str] = json.loads(body)
    return position


def _mac(body: bytes, scope: CursorScope) -> bytes:
    return salted_hmac("api.pagination.cursor", scope.digest().encode() + body, algorithm="sha256").digest()
