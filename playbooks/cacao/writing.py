"""Writes a CACAO document that was made here: properties in the standard's order, nothing that says nothing.

A document that came from outside is never written anew; its octets are kept (CACAO.md 13.6, D38).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from core import strict_json
from playbooks.cacao import shapes

_DEFINITIONS: Mapping[str, Mapping[str, shapes.Shape]] = {
    "workflow": shapes.STEPS,
    "agent_definitions": shapes.AGENTS,
    "target_definitions": shapes.AGENTS,
    "authentication_info_definitions": shapes.AUTHENTICATION,
    "data_marking_definitions": shapes.MARKINGS,
}


def dump(document: Mapping[str, Any]) -> bytes:
    """Return ``document`` as compact UTF-8 JSON; equal documents give equal octets.

    Dictionaries keep the order of their members, which is the author's. None and empty lists and objects are left
    out, as CACAO wants it, but for the value of a variable.
    """
    return strict_json.dumps(in_order(document))


def in_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``document`` as `dump` writes it."""
    written = _arranged(document, shapes.PLAYBOOK)
    if "playbook_variables" in written:
        written["playbook_variables"] = _variables(written["playbook_variables"])
    for name, by_type in _DEFINITIONS.items():
        if name in written:
            written[name] = {key: _definition(given, by_type) for key, given in written[name].items()}
    if "extension_definitions" in written:
        definitions = written["extension_definitions"]
        written["extension_definitions"] = {key: _arranged(one, shapes.EXTENSION) for key, one in definitions.items()}
    return written


def timestamp(moment: datetime) -> str:
    """Return an aware moment as CACAO writes it: UTC, exactly three decimals, the rest cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _definition(given: Mapping[str, Any], by_type: Mapping[str, shapes.Shape]) -> dict[str, Any]:
    written = _arranged(given, by_type.get(str(given.get("type")), ("type", "name", "description")))
    if "step_variables" in written:
        written["step_variables"] = _variables(written["step_variables"])
    if "commands" in written:
        shape = shapes.COMMANDS
        written["commands"] = [
            _arranged(one, shape.get(str(one.get("type")), ("type",))) for one in written["commands"]
        ]
    return written


def _variables(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: _arranged(variable, shapes.VARIABLE, keep={"value"} if variable.get("value") is not None else ())
        for name, variable in given.items()
    }


def _arranged(given: Mapping[str, Any], shape: shapes.Shape, keep: Iterable[str] = ()) -> dict[str, Any]:
    """Return the properties of ``shape`` in its order, then the others; what is empty only where it is in ``keep``."""
    kept = set(keep)
    names = [*(name for name in shape if name in given), *(name for name in given if name not in shape)]
    return {name: given[name] for name in names if name in kept or not _is_empty(given[name])}


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | tuple) and not value)
