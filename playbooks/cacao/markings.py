"""Data markings and extension definitions.

Source: CACAO.md 10 (D35, D36).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbooks.cacao import shapes, vocabularies
from playbooks.cacao.findings import below
from playbooks.cacao.identifiers import is_identifier
from playbooks.cacao.inspection import inspect, inspect_references
from playbooks.cacao.reading import Json, Reading

_EXTENDED = (
    ("agent_definitions", "agent_target_extensions"),
    ("target_definitions", "agent_target_extensions"),
    ("authentication_info_definitions", "authentication_info_extensions"),
    ("data_marking_definitions", "marking_extensions"),
    ("workflow", "step_extensions"),
)


def strictest_marking(document: Json) -> str | None:
    """Return the strictest TLP level that the playbook is marked with (D35); None for a playbook without one.

    A marking that is defined nowhere counts as TLP:RED.
    """
    given = document.get("markings")
    levels = {_level(marking, document) for marking in (given if isinstance(given, list) else ())}
    return next((level for level in vocabularies.TLP_LEVELS if level in levels), None)


def _level(marking: object, document: Json) -> str | None:
    if not isinstance(marking, str):
        return None
    if marking in vocabularies.TLP_MARKINGS:
        return vocabularies.TLP_MARKINGS[marking]
    definition = _members(document, "data_marking_definitions").get(marking)
    if not isinstance(definition, dict):
        return vocabularies.TLP_LEVELS[0]
    level = definition.get("tlpv2_level")
    return level if isinstance(level, str) else None


def check_markings(document: Json, reading: Reading) -> None:
    """Report markings that are defined nowhere, and what is odd about the definitions."""
    report = reading.report
    definitions = reading.dictionary(document, "data_marking_definitions", "")
    for key, given in definitions.items():
        at = below("/data_marking_definitions", key)
        if not is_identifier(key):
            message = f"The key `{key[:100]}` is no identifier; `type--UUID` is needed."
            report.relax("identifier-format", at, message, "used as opaque text")
        inspect(given, shapes.MARKINGS.get(str(given.get("type"))), at, report, skip=("end_date",))
        inspect_references(given, at, report)
    given_markings = document.get("markings")
    for index, marking in enumerate(given_markings if isinstance(given_markings, list) else ()):
        if isinstance(marking, str) and marking not in definitions and marking not in vocabularies.TLP_MARKINGS:
            message = "This marking is in data_marking_definitions nowhere, nor one of the five TLP markings."
            report.warn("marking-undefined", below("/markings", index), message, "treated as TLP:RED")


def check_extensions(document: Json, reading: Reading) -> None:
    """Report extensions that are used and not defined, defined and not used, or whose key is no id (D36)."""
    report = reading.report
    definitions = reading.dictionary(document, "extension_definitions", "")
    for key, given in definitions.items():
        at = below("/extension_definitions", key)
        _check_key(key, at, reading)
        inspect(given, shapes.EXTENSION, at, report)
        inspect_references(given, at, report)
    used: set[str] = set()
    for at, extensions in extension_uses(document):
        for key in extensions:
            used.add(key)
            _check_key(key, below(at, key), reading)
            if key not in definitions and key not in vocabularies.KNOWN_EXTENSIONS:
                message = f"The extension `{key[:100]}` is not in extension_definitions; it is kept and not used."
                report.warn("extension-undefined", below(at, key), message)
    for key in definitions.keys() - used:
        at = below("/extension_definitions", key)
        report.warn("extension-unused", at, "Nothing in this playbook uses the extension.")


def _check_key(key: str, at: str, reading: Reading) -> None:
    if not (is_identifier(key) and key.startswith("extension-definition--")):
        message = f"The key `{key[:100]}` is no id of an extension; `extension-definition--UUID` is needed."
        reading.report.warn("extension-key", at, message)


def extension_uses(document: Json) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (pointer, extensions by id) for every place of the document that has extensions."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    top = _members(document, "playbook_extensions")
    if top:
        found.append(("/playbook_extensions", top))
    for dictionary, name in _EXTENDED:
        for key, owner in _members(document, dictionary).items():
            extensions = _members(owner, name) if isinstance(owner, dict) else {}
            if extensions:
                found.append((below("", dictionary, key, name), extensions))
    return found


def _members(owner: Json, name: str) -> Mapping[str, Any]:
    value = owner.get(name)
    return value if isinstance(value, dict) else {}
