"""Validates a document against the official JSON schemas, read as the draft-07 that they declare.

A violation that a named code covers is left to the module that knows that code; what remains is ``schema``. The
faults of the schemas themselves (CACAO.md 13.1) are not reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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

_DEFINITIONS: Final = frozenset({"agent_definitions", "target_definitions", "authentication_info_definitions"})
#: properties that `playbooks.cacao` reads and checks itself, below a step
_READ_IN_STEPS: Final = frozenset(
    """
    type delay timeout step_variables commands agent targets in_args out_args playbook_id playbook_version next_steps
    condition on_true on_false switch cases on_completion on_success on_failure
    """.split()
)
#: the same below a definition
_READ_IN_DEFINITIONS: Final = frozenset(
    """
    type name address port authentication_info category sector user_id username password token oauth_header
    """.split()
)
_READ_IN_PLAYBOOK: Final = frozenset(
    """
    type spec_version id name created_by created modified valid_from valid_until workflow_start workflow
    playbook_variables
    """.split()
)
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
    for error in _validator().iter_errors(json.loads(octets)):
        _report(error, report, known_keys)


def is_valid(octets: bytes) -> bool:
    """Return whether the document obeys the schemas to the letter, their own faults included."""
    return _validator().is_valid(json.loads(octets))


def _report(error: jsonschema_rs.ValidationError, report: Report, known_keys: frozenset[str]) -> None:
    path = tuple(error.instance_path)
    kind = error.kind
    if isinstance(kind, _Kind.Required):
        path = (*path, kind.property)
    at = pointer(*path)
    if isinstance(kind, _Kind.Pattern) and kind.pattern.startswith(_IDENTIFIER_PATTERN):
        _report_identifier(path, error.instance, report, known_keys)
    elif isinstance(kind, _Kind.MinItems | _Kind.MinProperties) and not error.instance:
        pass  # empty-collection, or what follows from it
    elif not _is_read_elsewhere(path, kind) and not report.names(at):
        report.relax("schema", at, _message(path, kind), "kept as it is")


def _report_identifier(path: _Path, text: object, report: Report, known_keys: frozenset[str]) -> None:
    at = pointer(*path)
    if text in known_keys or report.names(at):
        return
    message = f"`{_name(path)}` is no identifier; `type--UUID` is needed, the UUID of version 1 to 5."
    report.relax("identifier-format", at, message, "used as opaque text")


def _is_read_elsewhere(path: _Path, kind: object) -> bool:
    top = path[0] if path else ""
    if len(path) <= 1:
        return top in _READ_IN_PLAYBOOK
    if top == "playbook_variables":
        return True
    if top == "workflow":
        # draft-07 finds the pointers of a step in `not` and in an `anyOf` that says nothing.
        return len(path) == 2 or path[2] in _READ_IN_STEPS
    if top in _DEFINITIONS:
        return len(path) == 2 or path[2] in _READ_IN_DEFINITIONS or isinstance(kind, _Kind.Required)
    return False


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
