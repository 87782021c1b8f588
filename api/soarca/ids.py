"""Ids as this contract writes them, and the URL converters for them."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from django.urls import register_converter

from core.errors import Invalid

HEX_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(HEX_UUID)
_PREFIX: Final = "playbook--"


class NotAnId(Invalid):
    code = "not_an_id"


class PlaybookId:
    """``playbook--<uuid>`` or the bare UUID.

    What follows the prefix is not looked at closer: a playbook that was read leniently may be named otherwise.
    """

    regex = rf"{_PREFIX}[^/]{{1,246}}|{HEX_UUID}"

    def to_python(self, value: str) -> str:
        return value if value.startswith(_PREFIX) else f"{_PREFIX}{value}"

    def to_url(self, value: str) -> str:
        return value


class Segment:
    """One free segment of a path; the view checks its shape."""

    regex = "[^/]{1,256}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Slug:
    """The name of a key."""

    regex = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class AnyUUID:
    """A UUID of any version, digits in either case."""

    regex = HEX_UUID

    def to_python(self, value: str) -> UUID:
        return UUID(value)

    def to_url(self, value: UUID) -> str:
        return str(value)


register_converter(Slug, "soarca_slug")
register_converter(AnyUUID, "soarca_uuid")
register_converter(PlaybookId, "soarca_playbook")
register_converter(Segment, "soarca_segment")


def execution_id(text: object, *, field: str = "execution id") -> UUID:
    """Return the UUID with dashes that ``text`` is, digits in either case. Raises NotAnId, which names the field."""
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise NotAnId(f"The {field} is not a UUID.")
    return UUID(text)


def is_same_playbook(given: str, stored: str) -> bool:
    """True when ``given``, with or without its prefix, names the playbook ``stored``."""
    return given.removeprefix(_PREFIX).lower() == stored.removeprefix(_PREFIX).lower()


def is_same_step(given: str, step_id: str, step_run_id: UUID) -> bool:
    """True when ``given`` names the step: by its id, by the bare UUID of that id, or by the step run's id."""
    if given == step_id or given.lower() == str(step_run_id):
        return True
    prefix, separator, uuid = step_id.rpartition("--")
    given_prefix, _, given_uuid = given.rpartition("--")
    return bool(separator) and given_prefix in ("", prefix) and given_uuid.lower() == uuid.lower()
