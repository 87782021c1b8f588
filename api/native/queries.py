"""Query parameters of this family's lists, and its pages: ``{"items": [...], "next": cursor or null}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db.models import Model, QuerySet

from api.base import FamilyRequest
from api.pagination import CursorScope, read_cursor, whole_number, write_cursor
from core.database import planned_anew
from core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from uuid import UUID

Row = TypeVar("Row", bound=Model)

USUAL, LARGEST = 50, 100
LONGEST_TEXT: Final = 300


def text(request: FamilyRequest, name: str) -> str | None:
    """Return a parameter as it is given, or None. Raises Invalid for an empty or overlong one."""
    given = request.query_params.get(name)
    if given is not None and not 0 < len(given) <= LONGEST_TEXT:
        raise refused(name, f"must be 1 to {LONGEST_TEXT} characters")
    return given


def moment(request: FamilyRequest, name: str) -> datetime | None:
    """Return a parameter as a moment. Raises Invalid unless it is ISO 8601 with a zone."""
    given = text(request, name)
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
        if found.tzinfo is None or "T" not in given.upper():
            raise ValueError("no zone, or no time")
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused(name, "must be ISO 8601 with a zone, such as 2026-11-22T08:00:00Z") from None


def flag(request: FamilyRequest, name: str) -> bool:
    """Return whether a parameter is ``true``; absent is false. Raises Invalid for another word."""
    given = request.query_params.get(name)
    if given not in (None, "true", "false"):
        raise refused(name, "must be true or false")
    return given == "true"


def refused(name: str, message: str) -> Invalid:
    return Invalid(f"{name}: {message}.", fields=[FieldError(name, message)])


def page(
    request: FamilyRequest,
    found: QuerySet[Row],
    *,
    name: str,
    filters: Mapping[str, Any],
    key: Callable[[Row], Sequence[str]],
    after: Callable[[QuerySet[Row], list[str]], QuerySet[Row]],
) -> tuple[list[Row], str | None]:
    """Return one page of an ordered list, and the cursor of the next one.

    ``key`` gives a row's place as text, ``after`` what follows a place. A cursor is good for this tenant, this list
    (``name``) and these ``filters`` only. Raises Invalid, and MALFORMED for a cursor that was not given here.
    """
    limit = whole_number(request, "limit", default=USUAL, minimum=1, maximum=LARGEST)
    scope = CursorScope(request.tenant.pk, f"native.{name}", dict(filters))
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        found = after(found, read_cursor(cursor, scope=scope))
    with planned_anew():
        rows = list(found[: limit + 1])
    following = write_cursor(key(rows[limit - 1]), scope=scope) if len(rows) > limit else None
    return rows[:limit], following


def newest_key(at: datetime, pk: UUID) -> list[str]:
    return [at.isoformat(), str(pk)]
