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

#: Returns a step's id in that document: (the playbook's CACAO id, the step's own id, its type) -> ``<type>--<uuid>``.
StepNamer = Callable[[str, str, str], str]

_writers: dict[str, Writer] = {}
_namers: dict[str, StepNamer] = {}


def register(dialect: str, writer: Writer, *, step_id: StepNamer) -> None:
    _writers[dialect], _namers[dialect] = writer, step_id


def has_cacao_form(version: PlaybookVersion) -> bool:
    return version.dialect == "cacao" or version.dialect in _writers


def cacao_step_id(dialect: str, *, playbook_id: str, step_id: str, step_type: str) -> str:
    """Return the CACAO id of a step; of a CACAO playbook it is the step's own."""
    namer = _namers.get(dialect)
    return namer(playbook_id, step_id, step_type) if namer else step_id


def cacao_form(version: PlaybookVersion, *, reveal: bool) -> bytes:
    """Return the CACAO document of a version: as received, or written from its dialect.

    Without ``reveal`` literal secrets are stars. Raises KeyError for a dialect that no family has registered.
    """
    if version.dialect == "cacao":
        return document_of(version, reveal=reveal)
    return _writers[version.dialect](version)
