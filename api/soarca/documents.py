"""CACAO documents on their way in: what this family asks of them beyond the import, and the one edit it makes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from json.decoder import scanstring  # type: ignore[attr-defined]  # the typeshed leaves it out
from typing import TYPE_CHECKING, Any, Final

from api.soarca import ids
from core import strict_json
from core.errors import FieldError, Invalid
from core.secrets import is_masked
from executions.importing import import_playbook
from playbooks.timestamps import instant_of, moment_of, text_of

if TYPE_CHECKING:
    from api.base import FamilyRequest
    from playbooks.models import PlaybookVersion
    from playbooks.services import Mode

_DECODER: Final = json.JSONDecoder()
_AUTHENTICATION: Final = "authentication_info_definitions"


class DocumentRefused(Invalid):
    """The document cannot be taken as it is; the message says what would be right."""

    code = "document_refused"


def read(octets: bytes) -> dict[str, Any]:
    """Return the document as JSON values. Raises JsonInvalid, and DocumentRefused for what is no object."""
    document = strict_json.loads(octets, allow_nul=True)
    if not isinstance(document, dict):
        raise DocumentRefused("A playbook is a JSON object.")
    for path, value in _texts(document.get(_AUTHENTICATION), f"/{_AUTHENTICATION}"):
        if is_masked(value):
            raise _refused(path, "holds stars in place of a secret. Send the secret itself, or leave it out")
    return document


def store(request: FamilyRequest, octets: bytes, *, mode: Mode, listed: bool = True) -> PlaybookVersion:
    """Import and store a document for the caller; to be called inside a transaction, which a refusal undoes.

    Raises what `import_playbook` raises, and DocumentRefused when the playbook has no name (RULINGS 16).
    """
    version, imported = import_playbook(
        tenant=request.tenant, octets=octets, mode=mode, actor=request.actor, now=request.now, listed=listed
    )
    name = imported.document.get("name")
    if not isinstance(name, str) or not name:
        raise _refused("/name", "is missing: a playbook has a name")
    return version


def check_id(document: Mapping[str, Any], playbook_id: str) -> None:
    """Refuse a document that is meant for another place than the path's. A missing id is the import's to refuse."""
    given = document.get("id")
    if isinstance(given, str) and not ids.is_same_playbook(given, playbook_id):
        raise _refused("/id", "is not the playbook of the path")


def with_later_modified(octets: bytes, document: Mapping[str, Any], *, stored: datetime, now: datetime) -> bytes:
    """Return the octets with a `modified` that is later than ``stored``: their own if it is, else now.

    Nothing else changes in them. Where the stored one lies ahead of the clock, a millisecond is added to it.
    """
    given = instant_of(document.get("modified"))
    if given is not None and moment_of(given) > stored:
        return octets
    return _with_member(octets, "modified", json.dumps(text_of(max(now, stored + timedelta(milliseconds=1)))))


def _with_member(octets: bytes, name: str, value: str) -> bytes:
    """Return an object's octets with the member ``name`` set to the JSON text ``value``, in its place or at the end."""
    text = octets.decode("utf-8")
    for member, start, end in _members(text):
        if member == name:
            return (text[:start] + value + text[end:]).encode("utf-8")
    end = text.rindex("}")
    comma = "" if next(_members(text), None) is None else ","
    return f'{text[:end].rstrip()}{comma}"{name}":{value}{text[end:]}'.encode()


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and end of the value for each member of the object that ``text``, read before, is."""
    at = _skip(text, text.index("{") + 1)
    while text[at] == '"':
        name, at = scanstring(text, at + 1)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield name, start, end
        at = _skip(text, end)
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each text below ``value`` with its JSON Pointer."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _texts(member, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _texts(member, f"{path}/{index}")


def _refused(path: str, why: str) -> DocumentRefused:
    message = f"{path} {why}."
    return DocumentRefused(message, fields=[FieldError(path=path, message=message)])
