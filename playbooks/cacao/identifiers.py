"""Identifiers: ``type--UUID``.

Source: CACAO Security Playbooks 2.0, identifier; CACAO.md section 3.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Final

from core import strict_json

#: RFC 4122, versions 1 to 5, either case, as the official schemas have it
_IDENTIFIER = re.compile(
    r"(?P<type>[a-z][a-z0-9-]+[a-z0-9])--"
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-(?P<version>[1-5])[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)

#: name space of playbook ids that are computed from what the playbook is
PLAYBOOK_NAMESPACE: Final = uuid.UUID("aa7caf3a-d55a-4e9a-b34e-056215fba56a")


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


def playbook_identifier(name: str, playbook_types: Sequence[str]) -> str:
    """Return the id (UUID version 5) of a playbook that is named by its contents."""
    octets = strict_json.canonical({"name": name, "playbook_types": list(playbook_types)})
    return f"playbook--{uuid.uuid5(PLAYBOOK_NAMESPACE, octets.decode())}"


def new_identifier(kind: str, number: uuid.UUID) -> str:
    """Return ``kind--UUID``, written in lower case."""
    return f"{kind}--{number}"
