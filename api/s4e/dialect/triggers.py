"""Triggers: events, conditions and cron lines, checked before they are stored (contracts/s4e.md, Trigger)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types
from croniter import CroniterBadDateError, croniter

from api.s4e.dialect.faults import Fields

EVENTS: Final = (
    "finding.new",
    "finding.status_changed",
    "scan.completed",
    "scan.failed",
    "action.completed",
    "manual",
    "schedule",
    "webhook",
    "alert.created",
    "anomaly.detected",
)
OPERATORS: Final = frozenset("$eq $ne $in $nin $gt $gte $lt $lte $contains $exists $regex".split())
LONGEST_CRON: Final = 100
LONGEST_PATTERN: Final = 1_000
#: any moment does: the question is whether the line ever fires
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
#: numbers, lists, ranges, steps and three-letter names; croniter knows more (R, H, L, #), other schedulers do not
_CRON_FIELD = re.compile(r"(?:[0-9*/,\-]|[A-Za-z]{3})+")


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


def cron_fault(line: str) -> str | None:
    """Return what is wrong with a cron line of five fields in UTC, or None."""
    fields = line.split()
    if len(line) > LONGEST_CRON or len(fields) != 5 or not all(_CRON_FIELD.fullmatch(part) for part in fields):
        return "Must be a cron line of five fields: minute, hour, day of month, month, day of week."
    try:
        croniter(line, _SOME_DAY).get_next(datetime)
    except CroniterBadDateError:
        return "Names no day that ever comes."
    except (ValueError, KeyError, TypeError) as error:
        return f"Is no cron line: {str(error)[:200]}."
    return None
