"""Values over 128 KiB: stored apart from the rows that lists and every step read, the same content once an execution.

A *document* is an object of values: a scope's variables, a step's result, the inputs of a start. Where a value is
stored apart, the document has a marker with its digest and size in its place. A value of a user that looks like a
marker is wrapped when it is written, so the two cannot be confused.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final
from uuid import UUID

from django.db import connection

from executions.engine.apart import Apart, Damaged, whole_within
from executions.stored_json import read_json, write_json

log = logging.getLogger(__name__)

#: octets of a document that stay in its row
INLINE: Final = 128 * 1024
#: octets of one value, written as JSON
MOST: Final = 16 * 1024 * 1024

MARK: Final = "__sallyport_apart__"
#: what costs less than its marker stays where it is
_SMALL: Final = 1024


class TooLarge(Exception):
    """A value has more octets than are stored. Nothing was written."""

    reason = "limit"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(f"{name} has {size} octets; at most {MOST} are kept.")
        self.name = name


@dataclass(frozen=True)
class Content:
    digest: str
    octets: bytes


@dataclass(frozen=True)
class Packed:
    """A document as JSON with markers, and the contents that it refers to."""

    text: str
    contents: Sequence[Content] = ()

    def store(self, execution_id: UUID) -> None:
        for content in self.contents:
            _insert(execution_id, content)


def pack(execution_id: UUID, document: Mapping[str, Any], *, depth: int = 1) -> Packed:
    """Return a document as it is stored: at most about 128 KiB in its row, what is larger apart, largest first.

    ``depth`` 2: its members are objects of values themselves. Raises TooLarge.
    """
    packing = _Packing()
    document = {name: _own(execution_id, value, depth - 1) for name, value in document.items()}
    members = {name: _marked(value, depth - 1) for name, value in document.items()}
    text = write_json(members)
    if not _is_over(text):
        return Packed(text)
    if depth > 1:
        for name, value in document.items():
            if _is_group(value) and _is_over(write_json(members[name])):
                members[name] = packing.lightened(value, members[name], name)
                document[name] = unpack(execution_id, {name: members[name]}, depth=depth)[name]
    members = packing.lightened(document, members)
    return Packed(write_json(members), packing.contents)


def write(execution_id: UUID, document: Mapping[str, Any], *, depth: int = 1) -> str:
    """Store what is large in a document, and return the document as JSON for its row. Raises TooLarge."""
    packed = pack(execution_id, document, depth=depth)
    packed.store(execution_id)
    return packed.text


def unpack(execution_id: UUID, document: Any, *, depth: int = 1) -> Any:
    """Return a stored document (as an object or as text) with an Apart for each value that is stored apart."""
    document = read_json(document)
    if not isinstance(document, Mapping):
        return document
    return {name: _unmarked(execution_id, value, depth - 1) for name, value in document.items()}


def whole_document(execution_id: UUID, document: Any, *, depth: int = 1) -> Any:
    """Return a stored document with all its values. Raises Damaged."""
    return whole_within(unpack(execution_id, document, depth=depth), depth=depth)


class _Packing:
    def __init__(self) -> None:
        self.contents: list[Content] = []

    def lightened(self, values: Mapping[str, Any], members: Mapping[str, Any], name: str = "") -> Any:
        """Return ``members`` with the largest moved apart until the rest fits; ``name``: the whole if it does not."""
        sizes = {key: len(write_json(member).encode()) for key, member in members.items()}
        light, left, before = dict(members), sum(sizes.values()), len(self.contents)
        for key in sorted(sizes, key=lambda key: -sizes[key]):
            if left <= INLINE or sizes[key] <= _SMALL:
                break
            if _holds_apart(values[key]):
                continue
            light[key] = self.moved(key, values[key])
            left -= sizes[key]
        if not name or not _is_over(write_json(light)):
            return light
        del self.contents[before:]
        return self.moved(name, whole_within(values, depth=1))

    def moved(self, name: str, value: Any) -> dict[str, Any]:
        octets = write_json(value).encode()
        if len(octets) > MOST:
            raise TooLarge(name, len(octets))
        content = Content(hashlib.sha256(octets).hexdigest(), octets)
        self.contents.append(content)
        return _marker(content.digest, len(octets))


def _marker(digest: str, size: int) -> dict[str, Any]:
    return {MARK: {"digest": digest, "size": size}}


def _own(execution_id: UUID, value: Any, depth: int) -> Any:
    """Return a value without what is stored for another execution, which goes with that one."""
    if isinstance(value, Apart):
        return value if value.execution == execution_id else value.read()
    if depth and isinstance(value, Mapping):
        return {name: _own(execution_id, member, depth - 1) for name, member in value.items()}
    return value


def _marked(value: Any, depth: int) -> Any:
    """Return a value as it stands in a document: as it is, or wrapped, or as a marker where it is apart already."""
    if isinstance(value, Apart):
        return _marker(value.digest, value.size)
    if isinstance(value, Mapping) and set(value) == {MARK}:
        return {MARK: {"inline": whole_within(value[MARK], depth=1)}}
    if depth and isinstance(value, Mapping):
        return {name: _marked(member, depth - 1) for name, member in value.items()}
    return value


def _is_group(value: Any) -> bool:
    """Whether a member of a document of depth 2 has values of its own: what is wrapped is one value."""
    return isinstance(value, Mapping) and set(value) != {MARK}


def _holds_apart(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(member, Apart) for member in value.values())
    return isinstance(value, Apart)


def _unmarked(execution_id: UUID, value: Any, depth: int) -> Any:
    if not isinstance(value, Mapping):
        return value
    if set(value) == {MARK}:
        found = value[MARK]
        if "inline" in found:
            return {MARK: found["inline"]}
        digest, size = found["digest"], found["size"]
        return Apart(execution_id, digest, size, cache(partial(_load, execution_id, digest, size)))
    if depth:
        return {name: _unmarked(execution_id, member, depth - 1) for name, member in value.items()}
    return value


def _is_over(text: str) -> bool:
    return len(text) * 4 > INLINE and len(text.encode()) > INLINE


# Unique (execution, digest): the same content is stored once.
INSERT = """
INSERT INTO executions_payload (tenant_id, execution_id, digest, size, content)
SELECT e.tenant_id, e.id, %s, %s, %s FROM executions_execution e WHERE e.id = %s
ON CONFLICT (execution_id, digest) DO NOTHING
"""


def _insert(execution_id: UUID, content: Content) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM executions_payload WHERE execution_id = %s AND digest = %s", (execution_id, content.digest)
        )
        if cursor.fetchone() is None:
            cursor.execute(INSERT, (content.digest, len(content.octets), content.octets, execution_id))


def _load(execution_id: UUID, digest: str, size: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT content FROM executions_payload WHERE execution_id = %s AND digest = %s", (execution_id, digest)
        )
        row = cursor.fetchone()
    octets = bytes(row[0]) if row else None
    if octets is None or hashlib.sha256(octets).hexdigest() != digest:
        log.error("alarm.payload_damaged", extra={"execution": str(execution_id), "digest": digest})
        what = "is missing" if octets is None else "is not what was stored"
        raise Damaged(f"A stored value of {size} octets {what}.")
    return json.loads(octets)
