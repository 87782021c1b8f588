"""The conditions of a trigger: which events start a playbook (contracts/s4e.md, trigger).

``{field: value}`` is equality, ``{field: {"$in": [...], ...}}`` names the test; all must hold. A field is a dotted path
into the event's data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from executions.engine.json_values import contains, have_order, same
from executions.engine.template_text import UndefinedPath, reach

#: search(pattern, text), linear in the text; raises ValueError for what it refuses to search.
Match = Callable[[str, str], bool]
Fault = tuple[str, str]

_ABSENT: Final = object()
_WORDS: Final = ("$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists", "$regex", "$contains")
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": lambda left, right: bool(left > right),
    "$gte": lambda left, right: bool(left >= right),
    "$lt": lambda left, right: bool(left < right),
    "$lte": lambda left, right: bool(left <= right),
}


def matches(conditions: Mapping[str, Any], data: Mapping[str, Any], match: Match) -> bool:
    """Return whether an event with ``data`` meets all ``conditions``; without conditions every event does.

    Values that a test has no meaning for (an order of text and number, a pattern in a list) do not meet it.
    """
    return all(_meets(test, _value_of(field, data), match) for field, test in conditions.items())


def validate_conditions(conditions: Any, check_pattern: Callable[[str], None] | None = None) -> list[Fault]:
    """Return each fault of ``conditions`` as (path below it, what would be right); an empty list when there is none.

    ``check_pattern`` raises ValueError for a regular expression that would not be searched.
    """
    if not isinstance(conditions, Mapping):
        return [("", "Conditions are an object of field names and values.")]
    faults: list[Fault] = []
    for field, test in conditions.items():
        if field.startswith("$"):
            faults.append((field, f"{field} cannot stand here; give the name of a field."))
        elif not all(field.split(".")):
            faults.append((field, "A field is a name, or names joined by dots."))
        elif _is_test(test):
            faults += [(f"{field}.{word}", m) for word, m in _faults_of(test, check_pattern)]
    return faults


def _is_test(test: Any) -> bool:
    """Return whether ``test`` holds words such as $in; any other object is a value to be equal to."""
    return isinstance(test, Mapping) and any(isinstance(word, str) and word.startswith("$") for word in test)


def _faults_of(test: Mapping[str, Any], check_pattern: Callable[[str], None] | None) -> list[Fault]:
    faults: list[Fault] = []
    for word, wanted in test.items():
        if word not in _WORDS:
            faults.append((word, f"{word} is no test; there are {', '.join(_WORDS)}."))
        elif word in ("$in", "$nin") and not isinstance(wanted, list):
            faults.append((word, f"{word} needs a list of values."))
        elif word == "$exists" and not isinstance(wanted, bool):
            faults.append((word, "$exists is true or false."))
        elif word in _ORDER and not have_order(wanted, wanted):
            faults.append((word, f"{word} needs a number or a text."))
        elif word == "$regex":
            faults += [(word, message) for message in _faults_of_pattern(wanted, check_pattern)]
    return faults


def _faults_of_pattern(pattern: Any, check_pattern: Callable[[str], None] | None) -> list[str]:
    if not isinstance(pattern, str):
        return ["$regex needs a regular expression, as text."]
    if check_pattern is not None:
        try:
            check_pattern(pattern)
        except ValueError as error:
            return [str(error)]
    return []


def _value_of(field: str, data: Mapping[str, Any]) -> Any:
    try:
        return reach(tuple(field.split(".")), data)
    except UndefinedPath:
        return _ABSENT


def _meets(test: Any, value: Any, match: Match) -> bool:
    if not _is_test(test):
        return value is not _ABSENT and same(value, test)
    return all(_holds(word, wanted, value, match) for word, wanted in test.items())


def _holds(word: str, wanted: Any, value: Any, match: Match) -> bool:
    if word == "$exists":
        return (value is not _ABSENT) is bool(wanted)
    if value is _ABSENT:
        return word in ("$ne", "$nin")
    if word in ("$eq", "$ne"):
        return same(value, wanted) is (word == "$eq")
    if word in ("$in", "$nin"):
        return any(same(value, one) for one in wanted) is (word == "$in")
    if word == "$contains":
        return contains(value, wanted) is True
    if word == "$regex":
        return isinstance(value, str) and _is_found(wanted, value, match)
    return word in _ORDER and have_order(value, wanted) and _ORDER[word](value, wanted)


def _is_found(pattern: str, value: str, match: Match) -> bool:
    try:
        return match(pattern, value)
    except ValueError:
        return False
