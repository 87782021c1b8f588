"""Reads the commands of a step.

Source: CACAO.md 6 (D2), 7 (D16), 12.8 (D18), 12.11.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from playbooks.cacao import references, shapes, start_lines, vocabularies
from playbooks.cacao.findings import below
from playbooks.cacao.inspection import check_word, inspect, inspect_references
from playbooks.cacao.reading import Json, Reading, kind_of
from playbooks.cacao.types import AgentTarget, Catalogue, Command

_SHOWN = "a request to a person, who is shown the text"


@dataclass(frozen=True)
class Surroundings:
    """What a command is read by: who carries it out, what is installed, which odd names are declared."""

    catalogue: Catalogue
    irregular: Collection[str]
    #: the agent is a fin, whose commands are its own business (D2)
    is_for_fin: bool
    is_for_people: bool


def surroundings(agent: AgentTarget | None, catalogue: Catalogue, irregular: Collection[str]) -> Surroundings:
    """Return what the commands of a step with this agent are read by."""
    known = catalogue.fin_capabilities
    return Surroundings(
        catalogue,
        irregular,
        is_for_fin=agent is not None
        and (
            agent.type == "soarca-fin"
            or agent.name.startswith("soarca-fin-")
            or agent.name in known
            or agent.type in known
        ),
        is_for_people=agent is not None and agent.type in vocabularies.PEOPLE_TYPES,
    )


@dataclass(frozen=True)
class _Part:
    """The command or the content, from whichever of its two properties counts."""

    text: str | None = None
    is_base64: bool = False
    is_encoded: bool = False
    is_broken: bool = False


def read_command(given: Json, at: str, around: Surroundings, reading: Reading) -> Command:
    """Read one command; what is wrong with it is reported."""
    kind = _read_type(given, at, around, reading)
    _check_common(given, kind, at, around, reading)
    text = _read_part(given, "command", at, around, reading)
    content = _read_part(given, "content", at, around, reading, may_be_octets=True)
    incomplete = None if around.is_for_fin else _what_is_missing(kind, text, content)
    if incomplete is None and kind in vocabularies.HTTP_COMMANDS and not around.is_for_fin:
        text, incomplete = _read_start_line(kind, text, below(at, "command"), around, reading)
    if incomplete is not None:
        reading.report.relax("command-incomplete", at, incomplete, _SHOWN)
    else:
        _check_properties(kind, given, at, around, reading)
    description = given.get("description")
    return Command(
        type=kind,
        text=text.text,
        text_is_base64=text.is_base64,
        text_is_encoded=text.is_encoded,
        content=content.text,
        content_is_base64=content.is_base64,
        content_is_encoded=content.is_encoded,
        headers=_read_headers(given, at, reading),
        description=description if isinstance(description, str) else "",
        for_people=incomplete is not None or kind == "manual" or around.is_for_people,
        raw=dict(given),
    )


def _check_common(given: Json, kind: str, at: str, around: Surroundings, reading: Reading) -> None:
    report = reading.report
    inspect(given, None if around.is_for_fin else shapes.COMMANDS.get(kind), at, report)
    inspect_references(given, at, report)
    check_word(given.get("playbook_activity"), vocabularies.ACTIVITIES, below(at, "playbook_activity"), report)
    for name in ("description", "version", "playbook_activity"):
        if given.get(name) is not None and not isinstance(given[name], str):
            message = f"`{name}` is {kind_of(given[name])}; text is needed."
            report.relax("schema", below(at, name), message, "kept as it is")


def _read_type(given: Json, at: str, around: Surroundings, reading: Reading) -> str:
    kind = given.get("type")
    place = below(at, "type")
    if not isinstance(kind, str):
        message = "A command needs a `type`, such as http-api, ssh or manual."
        reading.report.refuse("command-type-unknown", place, message)
        return ""
    if kind in vocabularies.COMMAND_TYPES or kind in around.catalogue.command_types or around.is_for_fin:
        return kind
    meant = vocabularies.COMMAND_ALIASES.get(kind)
    if meant is not None:
        message = f"`{kind}` is no command type of CACAO; `{meant}` is."
        reading.report.relax("command-type-alias", place, message, meant)
        return meant
    known = ", ".join(sorted(vocabularies.COMMAND_TYPES))
    message = f"Nothing here carries out a command of type `{kind[:100]}`; known are {known}."
    reading.report.refuse("command-type-unknown", place, message)
    return kind


def _read_part(
    given: Json, name: str, at: str, around: Surroundings, reading: Reading, *, may_be_octets: bool = False
) -> _Part:
    plain = reading.text(given, name, at)
    encoded_name = f"{name}_b64"
    encoded = reading.text(given, encoded_name, at)
    if not encoded:
        return _Part(plain)
    if plain:
        message = f"`{name}` and `{encoded_name}` are both given; one of them is enough."
        reading.report.warn("command-both-forms", below(at, name), message, f"`{encoded_name}` counts")
    if references.names_in(encoded, around.irregular):
        return _Part(encoded, is_base64=True, is_encoded=True)
    try:
        octets = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return _Part(encoded, is_base64=True, is_broken=True)
    try:
        return _Part(octets.decode("utf-8"), is_base64=True)
    except UnicodeDecodeError:
        return _Part(encoded, is_base64=True, is_encoded=may_be_octets, is_broken=not may_be_octets)


def _what_is_missing(kind: str, text: _Part, content: _Part) -> str | None:
    """Return in words why there is nothing to run, or None."""
    if text.is_broken:
        return "The command's base64 does not decode to UTF-8 text."
    if content.is_broken:
        return "The content's base64 does not decode; standard base64 with padding is needed."
    if kind not in vocabularies.COMMAND_TYPES:
        return None if text.text or content.text else "The command holds nothing to run."
    if kind == "manual" and text.text is not None:
        return None  # an empty text is one too: people are shown name and description
    if not (text.text or "").strip():
        what = "`command_b64`" if kind in vocabularies.ENCODED_COMMANDS else "`command`"
        return f"The command holds nothing to run; give {what}."
    if kind == "openc2-http" and not content.text:
        return "The command holds no OpenC2 message; give it as `content_b64`."
    return None


def _read_start_line(
    kind: str, part: _Part, at: str, around: Surroundings, reading: Reading
) -> tuple[_Part, str | None]:
    if part.is_encoded:
        return part, None
    method = "POST" if kind == "openc2-http" else None
    line = start_lines.read(part.text or "", method=method, declared=around.irregular)
    if line is None:
        return part, "The command is no start line; `METHOD target HTTP/1.1` is needed, such as `GET /hosts HTTP/1.1`."
    if line.faults:
        message = f"The start line is not `METHOD target HTTP/1.1`: {', '.join(line.faults)}."
        reading.report.relax("start-line", at, message, line.text)
    return _Part(line.text, is_base64=part.is_base64), None


def _check_properties(kind: str, given: Json, at: str, around: Surroundings, reading: Reading) -> None:
    """Report the property that the command type needs, where another one gives what is run."""
    if around.is_for_fin:
        return
    wanted: list[str] = []
    if kind in vocabularies.ENCODED_COMMANDS:
        wanted = ["command_b64"]
    elif kind in vocabularies.HTTP_COMMANDS:
        wanted = ["command", "content_b64"] if kind == "openc2-http" else ["command"]
    for name in wanted:
        if not given.get(name):
            other = name.removesuffix("_b64") if name.endswith("_b64") else f"{name}_b64"
            message = f"A command of type {kind} gives `{name}`."
            reading.report.relax("schema", below(at, name), message, f"`{other}` is used")


def _read_headers(given: Json, at: str, reading: Reading) -> dict[str, tuple[str, ...]]:
    headers: dict[str, Any] = reading.members(given, "headers", at)
    return {name: reading.names(headers, name, below(at, "headers")) for name in headers}
