"""Triggers: events, conditions and cron lines, checked before they are stored (contracts/s4e.md, Trigger)."""

from __future__ import annotations

from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from api.s4e.dialect.faults import Fields
from playbooks.events import EVENTS
from playbooks.schedules import cron_fault

OPERATORS: Final = frozenset("$eq $ne $in $nin $gt $gte $lt $lte $contains $exists $regex".split())
LONGEST_PATTERN: Final = 1_000


def read_trigger(fields: Fields) -> dict[str, Any]:
    """Return ``{"event", "conditions", "cron"?}``, members that the contract does not name left out."""
    event = fields.text("event", required=True)
    if event is not None and event not in EVENTS:
        fields.fault("event", f"Must be one of {', '.join(EVENTS)}.")
    conditions = fields.object("conditions")
    check_conditions(conditions or {}, Fields(conditions or {}, fields.at("conditions"), fields.faults))
    trigger: dict[str, Any] = {"event": event, "conditions": conditions or {}}
    cron = fields.text("cron", required=event == "schedule", blank=True)
    if cron is not None:
        trigger["cron"] = cron
        fault = cron_fault(cron)
        if fault:
            fields.fault("cron", fault)
    return trigger


def check_conditions(conditions: dict[str, Any], fields: Fields) -> None:
    for name, wanted in conditions.items():
        if not name or name.startswith("$"):
            fields.fault(name, "Must be the name of a field of the event; an operator stands below a field.")
        elif isinstance(wanted, dict) and any(word.startswith("$") for word in wanted):
            _check_operators(wanted, Fields(wanted, fields.at(name), fields.faults))


def _check_operators(wanted: dict[str, Any], fields: Fields) -> None:
    for word, operand in wanted.items():
        if word not in OPERATORS:
            fields.fault(word, f"Unknown operator. Known: {', '.join(sorted(OPERATORS))}.")
            continue
        fault = _operand_fault(word, operand)
        if fault:
            fields.fault(word, fault)


def _operand_fault(word: str, operand: Any) -> str | None:
    match word:
        case "$in" | "$nin" if not isinstance(operand, list):
            return "Takes an array."
        case "$exists" if not isinstance(operand, bool):
            return "Takes true or false."
        case "$gt" | "$gte" | "$lt" | "$lte" if isinstance(operand, bool) or not isinstance(operand, int | float | str):
            return "Takes a number or text."
        case "$regex":
            return _pattern_fault(operand)
    return None


def _pattern_fault(pattern: Any) -> str | None:
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        return f"Takes a regular expression of at most {LONGEST_PATTERN} characters."
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        return f"No regular expression that runs in linear time (RE2): {_said(error)}."
    return None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
