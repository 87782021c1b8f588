"""Public ids of this family. None is stored: each is another spelling of an id that the store has.

A tenant is named by its slug, a playbook by its slug with ``_`` for ``-``, a connection by its UUID. An execution's
number is spread over twelve characters, one to one, so that neither their order nor their count shows.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from django.urls import register_converter

EXECUTION: Final = "exec_"
CONNECTION: Final = "conn_"
PLAYBOOK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")

_LENGTH: Final = 12
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_SPACE: Final = 36**_LENGTH
#: neither even nor a multiple of three, so that it has an inverse
_FACTOR: Final = 2_971_215_073_844_271_533
_OFFSET: Final = 1_618_033_988_749_894_849
_INVERSE: Final = pow(_FACTOR, -1, _SPACE)
_EXECUTION: Final = re.compile(rf"exec_([0-9a-z]{{{_LENGTH}}})")
_CONNECTION: Final = re.compile(r"conn_([0-9a-f]{32})")


class Segment:
    """One free segment of a path; the view looks at what it says."""

    regex = r"[^/]{1,256}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Slug:
    """A toolkit's name as it may be written."""

    regex = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Segment, "olorin_segment")
register_converter(Slug, "olorin_slug")


def execution_id(number: int) -> str:
    spread, text = (number * _FACTOR + _OFFSET) % _SPACE, ""
    for _ in range(_LENGTH):
        spread, digit = divmod(spread, 36)
        text = _DIGITS[digit] + text
    return EXECUTION + text


def execution_number(text: str) -> int | None:
    """Return the number that an execution's id stands for; None for what is no such id."""
    found = _EXECUTION.fullmatch(text)
    if found is None:
        return None
    return (int(found[1], 36) - _OFFSET) * _INVERSE % _SPACE


def connection_id(key: UUID) -> str:
    return CONNECTION + key.hex


def connection_key(text: str) -> UUID | None:
    found = _CONNECTION.fullmatch(text)
    return UUID(hex=found[1]) if found else None


def playbook_key(slug: str) -> str:
    return slug.replace("-", "_")


def slugs_of(key: str) -> tuple[str, ...]:
    """Return the slugs that a playbook's key may stand for; none for a text that no slug makes."""
    return () if "-" in key else tuple(dict.fromkeys((key.replace("_", "-"), key)))


def action_id(number: int) -> str:
    return f"act_{number:03d}"
