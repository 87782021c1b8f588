"""The values for which a test of one variable holds, as far as that is simple: some, all but some, or an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

#: Comparisons of values that are made to find a contradiction; a condition with more is not written by hand.
_MAX_COMPARED: Final = 100_000
_OPPOSITE: Final = {">": "<=", "<": ">=", ">=": "<", "<=": ">"}


@dataclass(frozen=True)
class Range:
    """``operator`` is ``in``, ``not in`` or one of the four of order, which then has one value."""

    operator: str
    values: tuple[object, ...]

    @cached_property
    def _known(self) -> frozenset[object]:
        return frozenset(self.values)

    @staticmethod
    def of(operator: str, given: Sequence[object]) -> Range | None:
        """Return the range of a test; None for operators that have none, such as LIKE."""
        if operator in ("=", "!=", "in"):
            return Range("not in" if operator == "!=" else "in", tuple(given))
        return Range(operator, tuple(given)) if operator in _OPPOSITE else None

    def negated(self) -> Range:
        if self.operator in _OPPOSITE:
            return Range(_OPPOSITE[self.operator], self.values)
        return Range("in" if self.operator == "not in" else "not in", self.values)

    def is_comparable(self, value: object) -> bool:
        """Return whether a value is of the kind of those of the range: text, number or boolean."""
        return all(type(one) is type(value) for one in self.values)

    def holds(self, value: object) -> bool:
        """Return whether a comparable value is in the range."""
        if self.operator in ("in", "not in"):
            return (value in self._known) is (self.operator == "in")
        bound = self.values[0]
        if isinstance(value, Decimal) and isinstance(bound, Decimal):
            return _is_ordered(self.operator, value < bound, value == bound)
        return _is_ordered(self.operator, str(value) < str(bound), value == bound)


def contradicts(ranges: Sequence[Range]) -> bool:
    """Return whether no value is in all of the ranges."""
    kinds = {type(value) for one in ranges for value in one.values}
    if len(kinds) != 1 or len(ranges) * sum(len(one.values) for one in ranges) > _MAX_COMPARED:
        return False
    for one in ranges:
        if one.operator == "in":
            return not any(all(other.holds(value) for other in ranges) for value in one.values)
    bounds = [one for one in ranges if one.operator != "not in"]
    lower = [one for one in bounds if one.operator in (">", ">=")]
    upper = [one for one in bounds if one.operator in ("<", "<=")]
    return any(_is_empty(low, high) for low in lower for high in upper)


def _is_empty(low: Range, high: Range) -> bool:
    first, last = low.values[0], high.values[0]
    if first == last:
        return (low.operator, high.operator) != (">=", "<=")
    return not Range("<", (last,)).holds(first)


def _is_ordered(operator: str, is_less: bool, is_equal: bool) -> bool:
    if is_equal:
        return operator in ("<=", ">=")
    return operator in ("<", "<=") if is_less else operator in (">", ">=")
