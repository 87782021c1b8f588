"""What callers send, but for incidents and signals, which ``incidents.engine`` reads row by row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from rest_framework import serializers

from api.base import FamilyRequest
from api.fields import Choice, Input, JSONObject, Text
from api.pagination import one_of
from core.errors import FieldError, Invalid
from incidents.engine.finding import (
    LONGEST_NAME,
    LONGEST_SUMMARY,
    MOST_PLAYBOOKS,
    OURS,
    SEVERITIES,
    Finding,
)

LONGEST_NOTES: Final = 10_000
MOST_AT_ONCE: Final = 1_000
LONGEST_NUMBER: Final = 18
#: later than every event: who says that it was the last one seen is told to list again
NO_EVENT: Final = 10**LONGEST_NUMBER


class ApplyLensNotesInput(Input):
    """POST .../mitigate, /resolve, /close"""

    notes = Text(required=False, default="", allow_blank=True, max_length=LONGEST_NOTES)


class ApplyLensAcknowledgeInput(ApplyLensNotesInput):
    """POST .../acknowledge"""

    acknowledged_by = Text(
        required=False, max_length=LONGEST_NAME, default=None, help_text="Default: the caller's e-mail address."
    )


class ApplyLensAssignInput(Input):
    """POST .../assign"""

    assigned_to = Text(
        allow_null=True, max_length=LONGEST_NAME, help_text="The e-mail address of an active user, or null."
    )


class ApplyLensEditInput(Input):
    """PATCH /api/incidents/{id}"""

    summary = Text(required=False, max_length=LONGEST_SUMMARY)
    severity = Choice(required=False, choices=SEVERITIES)
    assigned_to = Text(required=False, allow_null=True, max_length=LONGEST_NAME)
    playbooks = serializers.ListField(
        child=Text(max_length=LONGEST_NAME), required=False, max_length=MOST_PLAYBOOKS, allow_empty=True
    )
    metadata = JSONObject(required=False, help_text="Merged, one level deep.")

    def validate_metadata(self, given: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(OURS & given.keys())
        if taken:
            raise serializers.ValidationError(f"Sallyport itself says {', '.join(taken)}.")
        return given


def filter_of(request: FamilyRequest, name: str, words: Collection[str]) -> str | None:
    """Return the one value a filter names; None for ``all`` and where it is not given."""
    given = one_of(request, name, [*words, "all"])
    return None if given == "all" else given


def rows_of(body: dict[str, Any], name: str) -> list[Any] | None:
    """Return the rows of a list form, None for a single object. Raises Invalid for too many, none, or more members."""
    if name not in body:
        return None
    rows = body[name]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_AT_ONCE:
        message = f"Must be an array of 1 to {MOST_AT_ONCE:,} objects."
        raise Invalid(f"{name}: {message}", fields=[FieldError(name, message)])
    if len(body) > 1:
        other = next(member for member in body if member != name)[:100]
        raise Invalid(f"{other}: Unknown field.", fields=[FieldError(other, "Unknown field.")])
    return rows


def read_all(rows: list[Any], read: Callable[[Any], Finding]) -> list[Finding | Invalid]:
    """Read row by row: one that cannot be read does not stop the others."""
    return [_read(row, read) for row in rows]


def _read(row: Any, read: Callable[[Any], Finding]) -> Finding | Invalid:
    try:
        return read(row)
    except Invalid as error:
        return error


def last_event_id(request: FamilyRequest) -> int | None:
    """Return the number to resume a stream after, or None. What is no number of ours is one that never was."""
    given = request._request.headers.get("Last-Event-ID")
    if not given:
        return None
    is_number = given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER
    return int(given) if is_number else NO_EVENT
