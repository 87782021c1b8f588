"""Takes properties out of parsed JSON by type: what the engine needs must have its type (13.2, ``property-type``).

Null and empty collections count as absent here; that they are there at all is reported by `playbooks.cacao.inspection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from playbooks.cacao.findings import Report, below

Json = Mapping[str, Any]

#: No run waits longer; a delay beyond it has no due time that a database holds.
MAX_SPAN: Final = timedelta(days=36_500)


def kind_of(value: object) -> str:
    """Return what ``value`` is in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


class Reading:
    """Typed access to the properties of one document."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def text(self, owner: Json, name: str, at: str) -> str | None:
        value = owner.get(name)
        if value is None or isinstance(value, str):
            return value
        self.wrong(below(at, name), name, value, "text")
        return None

    def flag(self, owner: Json, name: str, at: str) -> bool:
        value = owner.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(below(at, name), name, value, "true or false")
        return False

    def names(self, owner: Json, name: str, at: str) -> tuple[str, ...]:
        """Read a list of texts."""
        found: list[str] = []
        for index, item in enumerate(self.items(owner, name, at)):
            if isinstance(item, str):
                found.append(item)
            else:
                self.wrong(below(at, name, index), name, item, "text in each place of the list")
        return tuple(found)

    def items(self, owner: Json, name: str, at: str) -> list[Any]:
        value = owner.get(name)
        if isinstance(value, list):
            return value
        if value is not None:
            self.wrong(below(at, name), name, value, "a list")
        return []

    def objects(self, owner: Json, name: str, at: str) -> list[tuple[int, dict[str, Any]]]:
        """Read a list of objects, each with its index."""
        found: list[tuple[int, dict[str, Any]]] = []
        for index, item in enumerate(self.items(owner, name, at)):
            if isinstance(item, dict):
                found.append((index, item))
            else:
                self.wrong(below(at, name, index), name, item, "an object in each place of the list")
        return found

    def members(self, owner: Json, name: str, at: str) -> dict[str, Any]:
        value = owner.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.wrong(below(at, name), name, value, "an object")
        return {}

    def dictionary(self, owner: Json, name: str, at: str) -> dict[str, dict[str, Any]]:
        """Read an object whose members are objects."""
        found: dict[str, dict[str, Any]] = {}
        for key, item in self.members(owner, name, at).items():
            if isinstance(item, dict):
                found[key] = item
            else:
                self.wrong(below(at, name, key), key, item, "an object")
        return found

    def milliseconds(self, owner: Json, name: str, at: str) -> timedelta:
        """Read a span; absent is zero. A timeout beyond MAX_SPAN is cut, for the operator's ceiling is lower."""
        value = owner.get(name)
        if value is None:
            return timedelta(0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            self.wrong(below(at, name), name, value, "a whole number of milliseconds")
            return timedelta(0)
        if value < 0:
            self.report.refuse("property-type", below(at, name), f"`{name}` is negative; give 0 or more milliseconds.")
            return timedelta(0)
        if value <= MAX_SPAN // timedelta(milliseconds=1):
            return timedelta(milliseconds=int(value))
        if name != "timeout":
            self.report.refuse("property-type", below(at, name), f"`{name}` is longer than {MAX_SPAN.days} days.")
        return MAX_SPAN

    def wrong(self, at: str, name: str, value: object, right: str) -> None:
        message = f"`{name}` is {kind_of(value)}; {right} is needed."
        self.report.refuse("property-type", at, message)
