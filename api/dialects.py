"""How a playbook of a family's own dialect is shown as CACAO: the family says it once, every other family asks here.

Families do not import each other, so each registers its writer when its URLs are loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playbooks.selectors import document_of

if TYPE_CHECKING:
    from playbooks.models import PlaybookVersion

#: Returns the octets of a CACAO document for a version of the dialect.
Writer = Callable[["PlaybookVersion"], bytes]

_writers: dict[str, Writer] = {}


def register(dialect: str, writer: Writer) -> None:
    _writers[dialect] = writer


def has_cacao_form(version: PlaybookVersion) -> bool:
    return version.dialect == "cacao" or version.dialect in _writers


def cacao_form(version: PlaybookVersion, *, reveal: bool) -> bytes:
    """Return the CACAO document of a version: as received, or written from its dialect.

    Without ``reveal`` literal secrets are stars. Raises KeyError for a dialect that no family has registered.
    """
    if version.dialect == "cacao":
        return document_of(version, reveal=reveal)
    return _writers[version.dialect](version)
