"""Validates a document against the official JSON schemas, read as the draft-07 that they declare.

A violation that a named code covers is left to the module that knows that code; what remains is ``schema``. The
faults of the schemas themselves (CACAO.md 13.1) are not reported.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from playbooks.cacao.findings import Report, pointer
from playbooks.cacao.identifiers import type_of

SCHEMAS: Final = Path(__file__).parent / "schemas"
BASE: Final = "https://raw.githubusercontent.com/oasis-open/cacao-json-schemas/main/schemas/"

_Path = tuple[str | int, ...]
_Kind = jsonschema_rs.ValidationErrorKind

#: properties of a playbook, a step and a definition that `playbooks.cacao` reads and judges itself
_READ_IN_PLAYBOOK: Final = frozenset(
    """
    type spec_version name description created modified revoked valid_from valid_until playbook_variables
    """.split()
)
_READ_IN_STEPS: Final = frozenset(
    """
    type delay timeout step_variables agent targets in_args out_args playbook_id playbook_version next_steps condition
    switch cases on_true on_false on_completion on_success on_failure
    """.split()
)
_READ_IN_DEFINITIONS: Final = frozenset(
    """
    type name address port authentication_info category sector user_id username password token oauth_header kms
    kms_key_identifier private_key
    """.split()
)
_READ: Final[Mapping[str, frozenset[str]]] = {
    "workflow": _READ_IN_STEPS,
    "agent_definitions": _READ_IN_DEFINITIONS,
    "target_definitions": _READ_IN_DEFINITIONS,
    "authentication_info_definitions": _READ_IN_DEFINITIONS,
}
#: Values looked at in one go, and violations told of; a document with more is judged by the first ones.
_BATCH: Final = 1_000
_TIMESTAMP_PATTERN: Final = "^[0-9]{4}-"
_IDENTIFIER_PATTERN: Final = "^[a-z][a-z0-9-]+"


@cache
def load(name: str) -> dict[str, Any]:
    """Return one of the schema files, by its path below the folder."""
    schema: dict[str, Any] = json.loads((SCHEMAS / name).read_bytes())
    return schema


@cache
def _validator() -> jsonschema_rs.Draft7Validator:
    files = sorted(SCHEMAS.glob("**/*.json"))
    resources = [(BASE + file.relative_to(SCHEMAS).as_posix(), json.loads(file.read_bytes())) for file in files]
    registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft7)
    return jsonschema_rs.Draft7Validator({"$ref": BASE + "playbook.json"}, registry=registry, offline=True)


def address_patterns() -> dict[str, str]:
    """Return kind of address -> the pattern that the official schemas give for it, searched anywhere in the text."""
    address = load("agent-target/http-api.json")["allOf"][1]["properties"]["address"]["patternProperties"]
    return {kind.strip("^$"): rule["items"]["pattern"] for kind, rule in address.items() if "pattern" in rule["items"]}


def check(octets: bytes, report: Report, *, known_keys: frozenset[str]) -> None:
    """Report what the schemas refuse and no other code names.

    ``octets``: the document, already known to be JSON. ``known_keys``: the keys of its dictionaries; each was looked at
    as an identifier where it is defined, so a reference to it is not reported again.
    """
    for part in _parts(json.loads(octets)):
        for error in _validator().iter_errors(part.instance):
            _report(error, part, report, known_keys)
        if report.is_full("schema"):
            return


def is_valid(octets: bytes) -> bool:
    """Return whether the document obeys the schemas to the letter, their own faults included."""
    return _validator().is_valid(json.loads(octets))


@dataclass(frozen=True)
class _Part:
    """A document with a part of its contents: what this package does not judge itself, in bearable portions.

    A list that is too long comes in pieces: the piece at the path ``cut`` begins at index ``offset``.
    """

    instance: dict[str, Any]
    cut: _Path = ()
    offset: int = 0

    def path(self, found: Iterable[str | int]) -> _Path:
        path = tuple(found)
        length = len(self.cut)
        if not length or len(path) <= length:
            return path
        index = path[length]
        return (*self.cut, index + self.offset if isinstance(index, int) else index, *path[length + 1 :])


def _parts(document: dict[str, Any]) -> Iterator[_Part]:
    dictionaries = {name: document[name] for name in _READ if isinstance(document.get(name), dict)}
    rest = {name: item for name, item in document.items() if name not in _READ_IN_PLAYBOOK and name not in dictionaries}
    yield from _pieces(rest, ())
    yield _Part(rest)
    for name, members in dictionaries.items():
        batch: dict[str, Any] = {}
        size = 0
        for key, given in members.items():
            reduced = _reduced(given, _READ[name]) if isinstance(given, dict) else given
            size += yield from _pieces(reduced, (name, key))
            batch[key] = reduced
            if size > _BATCH:
                yield _Part({name: batch})
                batch, size = {}, 0
        yield _Part({name: batch})


def _reduced(given: dict[str, Any], read: frozenset[str]) -> dict[str, Any]:
    reduced = {name: item for name, item in given.items() if name not in read}
    if isinstance(reduced.get("commands"), list):
        reduced["commands"] = [
            {"type": "", "external_references": command["external_references"]}
            if isinstance(command, dict) and "external_references" in command
            else {"type": ""}
            for command in reduced["commands"]
        ]
    return reduced


def _pieces(value: Any, path: _Path) -> Generator[_Part, None, int]:
    """Cut every list that is too long to its first items, yield the others as parts, return how much is left."""
    size = 0
    pending: list[tuple[Any, _Path]] = [(value, path)]
    while pending:
        item, at = pending.pop()
        size += 1
        if isinstance(item, dict):
            pending.extend((member, (*at, name)) for name, member in item.items())
        elif isinstance(item, list):
            for offset in range(_BATCH, len(item), _BATCH):
                yield _Part(_nested(at, item[offset : offset + _BATCH]), at, offset)
            del item[_BATCH:]
            pending.extend((member, (*at, index)) for index, member in enumerate(item))
    return size


def _nested(path: _Path, value: Any) -> Any:
    for token in reversed(path):
        value = {token: value} if isinstance(token, str) else [value]
    return value


def _report(error: jsonschema_rs.ValidationError, part: _Part, report: Report, known_keys: frozenset[str]) -> None:
    path = part.path(error.instance_path)
    kind = error.kind
    if isinstance(kind, _Kind.Required):
        path = (*path, kind.property)
    if isinstance(kind, _Kind.Pattern) and kind.pattern.startswith(_IDENTIFIER_PATTERN):
        _report_identifier(path, error.instance, report, known_keys)
    elif isinstance(kind, _Kind.MinItems | _Kind.MinProperties) and not error.instance:
        pass  # empty-collection, or what follows from it
    elif not _is_read_elsewhere(path, kind) and not report.names(pointer(*path)):
        report.relax("schema", pointer(*path), _message(path, kind), "kept as it is")


def _report_identifier(path: _Path, text: object, report: Report, known_keys: frozenset[str]) -> None:
    at = pointer(*path)
    if text in known_keys or report.names(at):
        return
    message = f"`{_name(path)}` is no identifier; `type--UUID` is needed, the UUID of version 1 to 5."
    report.relax("identifier-format", at, message, "used as opaque text")


def _is_read_elsewhere(path: _Path, kind: object) -> bool:
    """Return whether this package judges the place itself, so that the part in hand says nothing about it."""
    if len(path) <= 1:
        return not path or path[0] in _READ_IN_PLAYBOOK or path[0] == "workflow" or isinstance(kind, _Kind.Required)
    read = _READ.get(str(path[0]))
    return read is not None and (len(path) == 2 or path[2] in read or (path[2] == "commands" and len(path) == 3))


def _message(path: _Path, kind: object) -> str:
    name = _name(path)
    if isinstance(kind, _Kind.Required):
        return f"`{name}` is missing; the schema needs it."
    if isinstance(kind, _Kind.Type):
        return f"`{name}` has the wrong JSON type; the schema needs {' or '.join(kind.types)}."
    if isinstance(kind, _Kind.Pattern) and kind.pattern.startswith(_TIMESTAMP_PATTERN):
        return f"`{name}` is no timestamp; RFC 3339 in UTC is needed, such as 2026-03-01T12:00:00.000Z."
    if isinstance(kind, _Kind.Enum):
        return f"`{name}` is none of the words that the schema lists: {_listed(kind.options)}."
    if isinstance(kind, _Kind.Minimum | _Kind.Maximum):
        bound = "less than" if isinstance(kind, _Kind.Minimum) else "greater than"
        return f"`{name}` is {bound} {kind.limit}, which is the limit."
    if isinstance(kind, _Kind.MinItems | _Kind.MinProperties):
        return f"`{name}` has fewer than {kind.limit} members."
    if isinstance(kind, _Kind.OneOfNotValid | _Kind.OneOfMultipleValid) and path[0] == "signatures":
        return "A signature gives exactly one of public_key, public_cert_chain, cert_url and thumbprint."
    return f"`{name}` does not fit the schema ({type(kind).__name__})."


def _listed(options: object) -> str:
    words: Iterator[object] = iter(options if isinstance(options, list) else [options])
    return ", ".join(str(word) for word in words)


def _name(path: _Path) -> str:
    """Return the property's name; for a place in a list, the list's."""
    return next((str(token) for token in reversed(path) if isinstance(token, str)), "the document")


def contradicts_key(kind: str, key: str, dictionary: str) -> bool:
    """Return whether the schema says of this ``key`` that its object has another type than ``kind``."""
    known = load("playbook.json")["properties"][dictionary]["patternProperties"]
    prefixes = {pattern[1:].partition("--")[0] for pattern in known}
    return type_of(key) in prefixes and kind != type_of(key)
