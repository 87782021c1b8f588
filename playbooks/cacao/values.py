"""Variable types: how a value that enters a variable is converted, and back to JSON.

Source: CACAO Security Playbooks 2.0, variables; CACAO.md section 9, D21 and D22.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from core import strict_json
from playbooks.cacao.types import Value

NUMBER_TYPES: Final = frozenset({"integer", "long", "float"})
HEX_TYPES: Final = frozenset({"hash", "md5-hash", "sha256-hash", "hexstring"})
ADDRESS_TYPES: Final = frozenset({"ipv4-addr", "ipv6-addr"})

#: Types whose grammar leaves no character that means anything to a shell (SECURITY.md 4).
STRICT_TYPES: Final = ADDRESS_TYPES | HEX_TYPES | {"mac-addr", "uuid", "integer", "long", "bool"}

#: D22: words of other vocabularies, and the type that is meant.
SYNONYMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "boolean": "bool",
        "number": "float",
        "int": "integer",
        "object": "dictionary",
        "array": "dictionary",
        "list": "dictionary",
    }
)

#: Digits of one number, as in `core.strict_json`.
MAX_DIGITS: Final = 4_300
#: Characters that one exponent may add when a number is written out.
_MAX_EXPONENT: Final = 400
_MAX_DEPTH: Final = 100

_INTEGER = re.compile(r"([+-]?)0*([0-9]+)")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,4}))?")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_PREFIX = re.compile(r"[0-9]{1,3}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def known_type(name: str) -> bool:
    """Return whether ``name`` is a type of CACAO's vocabulary; synonyms (D22) are read too, but are not of it."""
    return name in _READERS or name == "dictionary"


def meant_type(name: str) -> str:
    """Return the type of the vocabulary that ``name`` is read as; ``string`` for an unknown one (D22)."""
    return name if known_type(name) else SYNONYMS.get(name, "string")


def convert(value: Any, type_name: str) -> Value:
    """Return ``value`` (any JSON value) in the text form of ``type_name`` (D21); None, the unknown value, stays None.

    Text is trimmed for all types but string and uri. For ``dictionary`` the result is the JSON object itself, and an
    array too where the type is called object, array or list. Objects and arrays are not converted to other types.

    Raises ValueError, whose message says what would be right and does not repeat the value, which may be a secret.
    """
    if value is None:
        return None
    meant = meant_type(type_name)
    if meant == "dictionary":
        return _read_dictionary(value, arrays=type_name != "dictionary")
    if isinstance(value, dict | list):
        raise ValueError(f"A JSON {_kind_of(value)} does not fit the type {type_name}; give text.")
    text = value if isinstance(value, str) else strict_json.dumps(value).decode()
    _check_characters(text)
    return _READERS[meant](text if meant in ("string", "uri") else text.strip())


def text_of(value: Value) -> str:
    """Return ``value`` as text: a dictionary as compact JSON. Raises ValueError for None, which has no text."""
    if value is None:
        raise ValueError("An unknown value has no text.")
    return value if isinstance(value, str) else strict_json.dumps(value).decode()


def json_of(value: Value, type_name: str) -> Any:
    """Return ``value`` as the JSON value that its type means: ``"7"`` of an integer is 7, ``"true"`` of a bool is true.

    Text that is not of its type (a document may declare such a default) stays text.
    """
    meant = meant_type(type_name)
    if not isinstance(value, str) or meant not in ("bool", *NUMBER_TYPES):
        return value
    try:
        text = convert(value, meant)
    except ValueError:
        return value
    assert isinstance(text, str)
    if meant == "bool":
        return text == "true"
    if meant != "float":
        return int(text)
    number = strict_json.Number(text)
    if math.isinf(number):
        return text
    return float(text) if repr(float(text)) == text else number


def is_strict(text: str, type_name: str) -> bool:
    """Return whether ``text`` is a value of a type that needs no quoting in a command (SECURITY.md 4, rule 2)."""
    if type_name not in STRICT_TYPES:
        return False
    try:
        return convert(text, type_name) is not None and text == text.strip()
    except ValueError:
        return False


def decimal_of(text: str) -> Decimal:
    """Return the exact number that ``text`` writes in decimal. Raises ValueError if it writes none."""
    if len(text) > MAX_DIGITS or not _DECIMAL.fullmatch(text):
        raise ValueError("A number is written in decimal digits, such as 7, -12 or 2.5.")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("The number is out of range.") from None


def address_of(text: str, type_name: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """Return the address, with its prefix, that ``text`` writes. Raises ValueError if it writes none of that family."""
    address, slash, prefix = text.partition("/")
    # A zone (fe80::1%eth0) may hold any character, and means something on one machine only.
    if "%" not in address and (not slash or _PREFIX.fullmatch(prefix)):
        try:
            return ipaddress.IPv4Interface(text) if type_name == "ipv4-addr" else ipaddress.IPv6Interface(text)
        except ValueError:
            pass
    example = "192.0.2.1 or 192.0.2.0/24" if type_name == "ipv4-addr" else "2001:db8::1 or 2001:db8::/32"
    raise ValueError(f"An {type_name} is an address or address/prefix, such as {example}.")


def _read_string(text: str) -> str:
    return text


def _read_bool(text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise ValueError("A bool is true or false.")
    return text.lower()


def _read_integer(text: str) -> str:
    match = _INTEGER.fullmatch(text)
    if match is None or len(match[2]) > MAX_DIGITS:
        raise ValueError(f"An integer is at most {MAX_DIGITS} decimal digits, such as 7 or -12.")
    return f"-{match[2]}" if match[1] == "-" and match[2] != "0" else match[2]


def _read_float(text: str) -> str:
    number = decimal_of(text)
    match = _DECIMAL.fullmatch(text)
    assert match is not None
    if abs(int(match[1] or 0)) > _MAX_EXPONENT:
        raise ValueError(f"The exponent of a float is at most {_MAX_EXPONENT}.")
    plain = format(number, "f")
    return plain.removeprefix("-") if number == 0 else plain


def _read_address(type_name: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        address_of(text, type_name)
        return text

    return read


def _read_pattern(pattern: re.Pattern[str], right: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(right)
        return text

    return read


def _read_digits(type_name: str, length: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) != length or not _HEX.fullmatch(text):
            raise ValueError(f"A value of type {type_name} is {length} hexadecimal digits.")
        return text

    return read


def _read_dictionary(value: Any, *, arrays: bool) -> dict[str, Any] | list[Any]:
    if isinstance(value, str):
        try:
            value = strict_json.loads(value.encode("utf-8"))
        except (strict_json.JsonInvalid, UnicodeEncodeError) as error:
            raise ValueError(f"A dictionary is a JSON object. {error}") from None
    if isinstance(value, dict) or (arrays and isinstance(value, list)):
        _check_json(value)
        return value
    raise ValueError("A JSON object or array is needed." if arrays else "A dictionary is a JSON object.")


def _check_json(value: Any) -> None:
    """Raise ValueError for what cannot be stored. Iterative: the depth is checked before it costs anything."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > _MAX_DEPTH and isinstance(item, dict | list):
            raise ValueError(f"The JSON is nested deeper than {_MAX_DEPTH} levels.")
        if isinstance(item, dict):
            stack.extend((name, depth) for name in item)
            stack.extend((member, depth + 1) for member in item.values())
        elif isinstance(item, list):
            stack.extend((element, depth + 1) for element in item)
        elif isinstance(item, str):
            _check_characters(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and infinities are no JSON.")


def _check_characters(text: str) -> None:
    if "\x00" in text:
        raise ValueError("The character U+0000 is not accepted.")
    if _SURROGATE.search(text):
        raise ValueError("Half of a surrogate pair is not accepted.")


def _kind_of(value: dict[str, Any] | list[Any]) -> str:
    return "object" if isinstance(value, dict) else "array"


_READERS: Final[Mapping[str, Callable[[str], str]]] = {
    "bool": _read_bool,
    "integer": _read_integer,
    "long": _read_integer,
    "float": _read_float,
    "string": _read_string,
    "ipv4-addr": _read_address("ipv4-addr"),
    "ipv6-addr": _read_address("ipv6-addr"),
    "mac-addr": _read_pattern(_MAC, "A mac-addr is six octets, such as 00:1b:44:11:3a:b7."),
    "hash": _read_pattern(_HEX, "A hash is hexadecimal digits."),
    "md5-hash": _read_digits("md5-hash", 32),
    "sha256-hash": _read_digits("sha256-hash", 64),
    "hexstring": _read_pattern(_HEX, "A hexstring is hexadecimal digits."),
    "uri": _read_pattern(_URI, "A uri is written as RFC 3986 has it, such as https://example.org/path."),
    "uuid": _read_pattern(_UUID, "A uuid is 32 hexadecimal digits in the groups 8-4-4-4-12."),
}
