"""Reads and checks the properties of the playbook itself, beside its workflow.

Source: CACAO.md 4, 11 (D30, D31), 13.2 to 13.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from playbooks.cacao import timestamps, vocabularies
from playbooks.cacao.findings import Report, below, pointer
from playbooks.cacao.inspection import inspect_document
from playbooks.cacao.reading import Json, Reading

MAX_STEPS: Final = 5_000
SPEC_VERSION: Final = "cacao-2.0"


@dataclass(frozen=True)
class Metadata:
    """Which playbook and which version a document is. ``version`` is its ``modified``."""

    id: str | None = None
    version: str | None = None


def check_kind(document: Any, report: Report) -> Mapping[str, Any] | None:
    """Return the playbook and report what makes the rest meaningless; None when there is nothing to read on for."""
    if not isinstance(document, dict):
        report.refuse("playbook-type", "", "A playbook is a JSON object with `type` `playbook`.")
        return None
    if document.get("type") != "playbook":
        report.refuse("playbook-type", pointer(*(["type"] if "type" in document else [])), _about_type(document))
    given = document.get("spec_version")
    if given != SPEC_VERSION:
        what = f"`{given[:100]}`" if isinstance(given, str) else "absent" if given is None else "no text"
        message = f"`spec_version` is {what}; only `{SPEC_VERSION}` is read, 1.0 and 1.1 are not."
        report.refuse("spec-version", pointer(*(["spec_version"] if "spec_version" in document else [])), message)
    return None if report.is_unreadable() else document


def check_workflow(document: Json, report: Report) -> Mapping[str, dict[str, Any]] | None:
    """Return the steps as given, or None where there is no workflow to read."""
    workflow = document.get("workflow")
    if not isinstance(workflow, dict) or not workflow:
        message = "`workflow` is needed: an object of steps, by their ids."
        report.refuse("workflow-invalid", pointer(*(["workflow"] if "workflow" in document else [])), message)
        return None
    for key, step in workflow.items():
        if not isinstance(step, dict):
            report.refuse("workflow-invalid", pointer("workflow", key), "A step is an object.")
    if len(workflow) > MAX_STEPS:
        message = f"The workflow has {len(workflow)} steps; at most {MAX_STEPS} are read."
        report.refuse("document-too-large", "/workflow", message)
    return None if report.is_unreadable() else workflow


def check_metadata(document: Json, reading: Reading, now: datetime | None) -> Metadata:
    """Check the playbook's own properties. ``now`` decides ``outside-validity``; None leaves that out."""
    report = reading.report
    identifier = document.get("id")
    if not isinstance(identifier, str) or not identifier.startswith("playbook--"):
        message = (
            "`id` is needed and begins with `playbook--`, such as playbook--" + "00000000-0000-4000-8000-000000000000."
        )
        report.refuse("id-missing", pointer(*(["id"] if "id" in document else [])), message)
        identifier = None
    inspect_document(document, report)
    _check_required(document, report)
    _check_name(document, report)
    _check_times(document, reading, now)
    if reading.flag(document, "revoked", ""):
        report.warn("revoked", "/revoked", "The playbook is revoked; no version of it can be started.")
    _check_activities(document, report)
    modified = document.get("modified")
    return Metadata(identifier, modified if isinstance(modified, str) else None)


def _about_type(document: Json) -> str:
    kind = document.get("type")
    if not isinstance(kind, str):
        return "`type` is needed: `playbook`."
    if "playbook_bin" in document or "objects" in document or kind in ("bundle", "course-of-action"):
        return f"This is a STIX object of type `{kind[:100]}`; take the playbook out of it and import that."
    return f"`type` is `{kind[:100]}`; `playbook` is needed."


def _check_required(document: Json, report: Report) -> None:
    relaxed = {"name": "shown under its id", "created_by": "an unknown creator"}
    for name in ("name", "created_by", "created", "modified"):
        if document.get(name) is None:
            reading = relaxed.get(name, "the time of the import, in our record only")
            report.relax("required-missing", pointer(name), f"`{name}` is missing.", reading)


def _check_name(document: Json, report: Report) -> None:
    for name in ("name", "description"):
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            report.relax("schema", pointer(name), f"`{name}` is text.", "kept as it is")


def _check_times(document: Json, reading: Reading, now: datetime | None) -> None:
    report = reading.report
    instants: dict[str, Fraction] = {}
    for name in ("created", "modified", "valid_from", "valid_until"):
        text = reading.text(document, name, "")
        if text is None:
            continue
        try:
            instants[name] = timestamps.instant(text)
        except ValueError as error:
            report.relax("schema", pointer(name), f"`{name}` is no timestamp. {error}", "kept as it is, and not used")
            continue
        if name in ("created", "modified") and len(text.rpartition(".")[2]) != len("000Z"):
            message = f"`{name}` has exactly three decimals, such as 2026-03-01T12:00:00.000Z."
            report.warn("timestamp-precision", pointer(name), message)
    if "created" in instants and "modified" in instants and instants["modified"] < instants["created"]:
        report.relax("time-order", "/modified", "`modified` is before `created`.", "kept")
    if "valid_from" in instants and "valid_until" in instants and instants["valid_until"] <= instants["valid_from"]:
        report.relax("time-order", "/valid_until", "`valid_until` is not after `valid_from`.", "kept")
    if now is not None:
        _check_validity(instants, timestamps.instant_of(now), report)


def _check_validity(instants: Mapping[str, Fraction], now: Fraction, report: Report) -> None:
    if "valid_from" in instants and now < instants["valid_from"]:
        report.warn("outside-validity", "/valid_from", "The playbook is not yet valid; it cannot be started.")
    if "valid_until" in instants and now >= instants["valid_until"]:
        report.warn("outside-validity", "/valid_until", "The playbook is no longer valid; it cannot be started.")


def _check_activities(document: Json, report: Report) -> None:
    """Report activities that the playbook should list, and those that no command has."""
    listed = dict.fromkeys(_texts(document.get("playbook_activities")))
    types = _texts(document.get("playbook_types"))
    if not listed and vocabularies.PLAYBOOK_TYPES.intersection(types):
        message = "A playbook whose types are of the vocabulary lists its activities in `playbook_activities`."
        report.warn("activities-missing", "/playbook_types", message)
    used: set[str] = set()
    for at, activity in _used_activities(document):
        used.add(activity)
        if listed and activity not in listed:
            message = f"The playbook does not list `{activity[:100]}` among its playbook_activities."
            report.warn("activities-missing", at, message)
    for index, activity in enumerate(listed):
        if activity not in used:
            message = f"No command has the activity `{activity[:100]}`."
            report.warn("activity-unused", below("/playbook_activities", index), message)


def _used_activities(document: Json) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, step in document["workflow"].items():
        commands = step.get("commands")
        for index, command in enumerate(commands if isinstance(commands, list) else ()):
            activity = command.get("playbook_activity") if isinstance(command, dict) else None
            if isinstance(activity, str):
                found.append((pointer("workflow", key, "commands", index, "playbook_activity"), activity))
    return found


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
