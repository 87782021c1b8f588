"""Identifiers: ``type--UUID``.

Source: CACAO Security Playbooks 2.0, identifier; CACAO.md section 3.
"""

from __future__ import annotations

import re

#: RFC 4122, versions 1 to 5, either case, as the official schemas have it
_IDENTIFIER = re.compile(
    r"(?P<type>[a-z][a-z0-9-]+[a-z0-9])--"
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-(?P<version>[1-5])[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)


def is_identifier(text: str) -> bool:
    """Return whether ``text`` is ``type--UUID``."""
    return _IDENTIFIER.fullmatch(text) is not None


def type_of(text: str) -> str | None:
    """Return what stands before the ``--``, or None where there is none; the UUID may be any text."""
    before, separator, _ = text.partition("--")
    return before if separator else None


def uuid_version(text: str) -> int | None:
    """Return the version of the UUID; None where ``text`` is no identifier."""
    match = _IDENTIFIER.fullmatch(text)
    return int(match["version"]) if match else None
