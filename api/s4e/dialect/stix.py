"""S4E expressions in the STIX grammar of CACAO conditions, where they can be said (CACAO.md 14.1).

The objects that templates read become dictionary variables: ``finding.severity == 'high'`` is said as
``__finding__:value.severity = 'high'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from executions.engine.expressions import Compare, Expression, Joined, Literal, Not, PathOf
from executions.engine.templates import parse_expression

#: what a run is given; outputs of steps are no variables of a CACAO playbook
ROOTS: Final = frozenset({"finding", "alert", "scan", "anomaly", "asset", "parameters", "inputs"})

_SAID: Final = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_FLIPPED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED: Final = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Said:
    """``roots``: the objects whose variables the text reads."""

    text: str
    roots: tuple[str, ...]


class _CannotSay(Exception):
    pass


def condition_of(expression: str) -> Said | None:
    """Return the condition that means the same, or None where the grammar has no words for it."""
    parsed = parse_expression(expression)
    try:
        return Said(_text(parsed), tuple(dict.fromkeys(_roots(parsed))))
    except _CannotSay:
        return None


def _text(expression: Expression) -> str:
    match expression:
        case Joined(operator, items):
            return f" {operator.upper()} ".join(f"({_text(item)})" for item in items)
        case Not(Compare(operator, left, right)) if operator in _NEGATED:
            return _text(Compare(_NEGATED[operator], left, right))
        case Compare(operator, PathOf(path), Literal(value)) if operator in _SAID:
            return f"{_path(path)} {_SAID[operator]} {_literal(value, operator)}"
        case Compare(operator, Literal() as left, PathOf() as right) if operator in _SAID:
            return _text(Compare(_FLIPPED[operator], right, left))
        case PathOf(path):
            return f"{_path(path)} = true"
    raise _CannotSay


def _path(path: tuple[str, ...]) -> str:
    root, *keys = path
    if root not in ROOTS or not keys:
        raise _CannotSay
    return f"__{root}__:value" + "".join(map(_key, keys))


def _key(key: str) -> str:
    if key.isascii() and key.isdecimal():
        return f"[{key}]"
    if not _KEY.fullmatch(key):
        raise _CannotSay
    return f".{key}"


def _literal(value: Any, operator: str) -> str:
    match value:
        case bool() if operator in ("==", "!="):
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
        case int() | float() if not isinstance(value, bool) and "e" not in str(value).lower():
            return str(value)
    raise _CannotSay


def _roots(expression: Expression) -> Iterator[str]:
    match expression:
        case PathOf(path):
            yield path[0]
        case Compare(_, left, right):
            yield from _roots(left)
            yield from _roots(right)
        case Not(item):
            yield from _roots(item)
        case Joined(_, items):
            for item in items:
                yield from _roots(item)
