"""Comparing one value with one literal, as the types of CACAO.md section 9 and 14.2 have it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from core import strict_json
from playbooks.cacao.timestamps import instant
from playbooks.cacao.types import Value
from playbooks.cacao.values import ADDRESS_TYPES, HEX_TYPES, NUMBER_TYPES, address_of, convert, decimal_of, meant_type

Match = Callable[[str, str], bool]


class ConditionError(Exception):
    """The condition cannot be evaluated: it is neither true nor false (D7, D39)."""


@dataclass(frozen=True)
class Operand:
    """One side of a comparison. ``kind``: a variable type, or a kind of literal (see `condition_tree`).

    ``value`` is text, or a bool for the kind ``bool`` where it comes from JSON or a literal.
    """

    kind: str
    value: str | bool

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBER_TYPES


_NAMES: Final = {"base64": "octets", "hex": "hexadecimal", "text": "text", "number": "a number", "bool": "a boolean"}
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": lambda left, right: bool(left > right),
    "<": lambda left, right: bool(left < right),
    ">=": lambda left, right: bool(left >= right),
    "<=": lambda left, right: bool(left <= right),
}


def leaf(value: Any) -> Operand:
    """Return a JSON leaf as an operand. Raises ConditionError for null, objects and arrays."""
    if isinstance(value, bool):
        return Operand("bool", value)
    if isinstance(value, str):
        return Operand("string", value)
    if isinstance(value, int | float):
        return Operand("float", strict_json.dumps(value).decode())
    raise ConditionError("It has no value." if value is None else "An object or array can only be tested with EXISTS.")


def variable(value: Value, type_name: str) -> Operand:
    """Return a variable's value as an operand of its type. Raises ConditionError where it has none, or a wrong one."""
    if value is None:
        raise ConditionError("It has no value.")
    kind = meant_type(type_name)
    if not isinstance(value, str):
        raise ConditionError("An object or array can only be tested with EXISTS.")
    try:
        text = convert(value, kind)
    except ValueError as error:
        raise ConditionError(f"Its value does not fit its type {type_name}. {error}") from None
    if not isinstance(text, str):
        raise ConditionError("An object or array can only be tested with EXISTS.")
    return Operand(kind, text)


def as_literal(operand: Operand) -> Operand:
    """Return a variable or leaf on the right as the literal that it would be; a number stays one (14.3)."""
    return operand if operand.is_number or operand.kind == "bool" else Operand("text", operand.value)


def holds(left: Operand, operator: str, right: Operand, match: Match) -> bool:
    """Return whether ``left OPERATOR right`` holds. Raises ConditionError where that has no answer."""
    if operator in ("LIKE", "MATCHES"):
        return _matches(left, operator, right, match)
    if operator in ("ISSUBSET", "ISSUPERSET"):
        return _is_inside(left, operator, right)
    first, second, has_order = _comparable(left, right)
    if operator == "=":
        return bool(first == second)
    if operator == "!=":
        return bool(first != second)
    if not has_order:
        raise ConditionError(f"{operator} has no meaning for {_name(left.kind)}.")
    return _ORDER[operator](first, second)


def _comparable(left: Operand, right: Operand) -> tuple[Any, Any, bool]:
    """Return both sides as values that Python compares, and whether they have an order."""
    if left.is_number or right.kind in NUMBER_TYPES or (right.kind == "number" and left.kind in ("string", "bool")):
        if left.kind == "bool" or right.kind == "bool":
            raise ConditionError("A number and a boolean cannot be compared.")
        return _number(left), _number(right), True
    if left.kind == "bool":
        return _truth(left), _truth(right), False
    if right.kind == "timestamp":
        return _instant(left), _instant(right), True
    if right.kind in ("hex", "base64"):
        return _octets(left, right.kind), _octets(right, right.kind), False
    if left.kind == "string":
        # A boolean against text is the text true or false.
        second = right.value if isinstance(right.value, str) else str(right.value).lower()
        return left.value, second, True
    if right.kind == "bool":
        raise ConditionError(f"A boolean cannot be compared with {_name(left.kind)}.")
    return _typed(left), _typed(Operand(left.kind, right.value)), False


def _number(operand: Operand) -> Decimal:
    text = str(operand.value)
    try:
        # A leaf of JSON is a number already, with any exponent.
        return Decimal(text) if operand.kind in NUMBER_TYPES else decimal_of(text.strip())
    except (ValueError, InvalidOperation):
        raise ConditionError(f"{_name(operand.kind).capitalize()} cannot be compared with a number.") from None


def truth(operand: Operand) -> bool:
    """Return the truth of an operand that stands alone: a bool, or the text true or false."""
    if operand.kind in ("bool", "string"):
        return _truth(operand)
    raise ConditionError(f"{_name(operand.kind).capitalize()} is neither true nor false.")


def _truth(operand: Operand) -> bool:
    if isinstance(operand.value, bool):
        return operand.value
    if operand.kind in ("bool", "string", "text"):
        word = operand.value.strip().lower()
        if word in ("true", "false"):
            return word == "true"
    raise ConditionError(f"{_name(operand.kind).capitalize()} is neither true nor false.")


def _instant(operand: Operand) -> Any:
    try:
        return instant(str(operand.value))
    except ValueError as error:
        raise ConditionError(str(error)) from None


def _octets(operand: Operand, kind: str) -> bytes:
    """Return the octets meant: of hexadecimal text, of base64, or of the text itself in UTF-8."""
    text = str(operand.value)
    try:
        if operand.kind == "base64":
            return base64.b64decode(text, validate=True)
        if kind == "hex" or operand.kind in HEX_TYPES:
            return binascii.unhexlify(text)
    except (ValueError, binascii.Error):
        raise ConditionError(f"{_name(operand.kind).capitalize()} is no sequence of octets.") from None
    return text.encode("utf-8")


def _typed(operand: Operand) -> Any:
    """Return a value that is equal for equal values of the type, however they are written."""
    try:
        text = convert(operand.value, operand.kind)
        assert isinstance(text, str)
        if operand.kind in ADDRESS_TYPES:
            return address_of(text, operand.kind)
    except ValueError as error:
        raise ConditionError(str(error)) from None
    if operand.kind == "mac-addr":
        return text.lower().replace("-", ":")
    return text if operand.kind == "uri" else text.lower()


def _matches(left: Operand, operator: str, right: Operand, match: Match) -> bool:
    if left.is_number or left.kind == "bool" or not isinstance(left.value, str):
        raise ConditionError(f"{operator} has no meaning for {_name(left.kind)}.")
    if right.kind != "text":
        raise ConditionError(f"{operator} needs text on its right.")
    pattern = str(right.value)
    try:
        return match(_like(pattern) if operator == "LIKE" else pattern, left.value)
    except ValueError as error:
        raise ConditionError(str(error)) from None


def _like(pattern: str) -> str:
    """Return the regular expression of a LIKE pattern: ``%`` is any run of characters, ``_`` one."""
    meanings = {"%": ".*", "_": "."} | {character: f"\\{character}" for character in "\\.+*?()|[]{}^$"}
    return f"^(?s:{''.join(meanings.get(character, character) for character in pattern)})$"


def _is_inside(left: Operand, operator: str, right: Operand) -> bool:
    if left.kind not in ADDRESS_TYPES or right.kind != "text":
        raise ConditionError(f"{operator} needs an address on its left and a network, as text, on its right.")
    first, second = address_of(str(left.value), left.kind).network, _network(str(right.value))
    if operator == "ISSUPERSET":
        first, second = second, first
    if isinstance(first, ipaddress.IPv4Network) and isinstance(second, ipaddress.IPv4Network):
        return first.subnet_of(second)
    if isinstance(first, ipaddress.IPv6Network) and isinstance(second, ipaddress.IPv6Network):
        return first.subnet_of(second)
    raise ConditionError("An IPv4 and an IPv6 network cannot be compared.")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    family = "ipv6-addr" if ":" in text else "ipv4-addr"
    try:
        return address_of(text.strip(), family).network
    except ValueError as error:
        raise ConditionError(str(error)) from None


def _name(kind: str) -> str:
    return _NAMES.get(kind, f"the type {kind}")
