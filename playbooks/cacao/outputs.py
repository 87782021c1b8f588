"""Reads where a step's output goes: our own mapping and SOARCA's assignment.

Source: CACAO.md 12.10.
"""

from __future__ import annotations

import re
from typing import Any, Final

from playbooks.cacao.findings import below
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.types import OutputMapping
from playbooks.cacao.vocabularies import ASSIGNMENT_EXTENSION, OUTPUT_EXTENSION, RESULT_VARIABLES

_SOURCES: Final = frozenset({"output", "stderr", "exit_code", "status"})
#: one step of a jq path: .name, ["any text"], .["any text"], [0]
_JQ_STEP: Final = re.compile(r'\.?\[\s*(?:"((?:[^"\\]|\\["\\/])*)"|([0-9]{1,9}))\s*\]|\.([A-Za-z_][A-Za-z0-9_]*)')
_ESCAPE: Final = re.compile(r"\\(.)")


def read_outputs(step: Json, at: str, reading: Reading) -> tuple[tuple[OutputMapping, str], ...]:
    """Return each mapping of a step with the pointer to where it names its variable."""
    found: list[tuple[OutputMapping, str]] = []
    for key, extension in reading.members(step, "step_extensions", at).items():
        place = below(at, "step_extensions", key)
        if not isinstance(extension, dict):
            continue
        if extension.get("type") == OUTPUT_EXTENSION:
            found += _read_own(extension, place, reading)
        elif extension.get("type") == ASSIGNMENT_EXTENSION:
            found += _read_assignment(extension, place, reading)
    return tuple(found)


def _read_own(extension: Json, at: str, reading: Reading) -> list[tuple[OutputMapping, str]]:
    found: list[tuple[OutputMapping, str]] = []
    for name, given in reading.dictionary(extension, "outputs", at).items():
        place = below(at, "outputs", name)
        source = reading.text(given, "from", place) or "output"
        path = _pointer_path(reading.text(given, "pointer", place) or "")
        is_known = source in _SOURCES or (source.startswith("header:") and len(source) > len("header:"))
        found.append((OutputMapping(name, source, path or (), supported=is_known and path is not None), place))
    return found


def _pointer_path(text: str) -> tuple[str | int, ...] | None:
    """Return the tokens of a JSON Pointer, each as text; None for text that is none."""
    if not text:
        return ()
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        return None
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))


def _read_assignment(extension: Json, at: str, reading: Reading) -> list[tuple[OutputMapping, str]]:
    name = reading.text(extension, "variable", at)
    source = reading.text(extension, "step-result", at)
    expression = reading.members(extension, "expression", at)
    if not name:
        return []
    path = jq_path(expression.get("expression")) if expression.get("type") == "jq" else None
    is_output = not source or source in RESULT_VARIABLES
    mapping = OutputMapping(
        name,
        RESULT_VARIABLES.get(source or "", "output"),
        path or (),
        variable=None if is_output else source,
        supported=path is not None,
    )
    return [(mapping, below(at, "variable"))]


def jq_path(expression: Any) -> tuple[str | int, ...] | None:
    """Return the steps of a jq path such as ``.a["b c"][0]``; None for any other expression."""
    if not isinstance(expression, str):
        return None
    text = expression.strip()
    if text == ".":
        return ()
    steps: list[str | int] = []
    end = 0
    while end < len(text):
        match = _JQ_STEP.match(text, end)
        if match is None or (not steps and not match[0].startswith(".")):
            return None
        quoted, index, name = match.groups()
        if quoted is not None:
            steps.append(_ESCAPE.sub(r"\1", quoted))
        else:
            steps.append(int(index) if index is not None else name)
        end = match.end()
    return tuple(steps) or None
