"""The one JSON reader and writer: RFC 8259 and nothing more, numbers kept as written (SEC-48, CACAO.md 13.6).

What Python's own reader lets pass is refused here: duplicate members, NaN and Infinity, numbers beyond a double,
lone surrogates, a byte order mark, other encodings than UTF-8, deep nesting (a RecursionError), huge integers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, Self

import rfc8785

from core.errors import Invalid

MAX_DEPTH: Final = 100
#: of one number as written; also Python's own limit for the digits of an integer
MAX_NUMBER_LENGTH: Final = 4_300
MAX_SAFE_INTEGER: Final = 2**53 - 1

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(octet for octet in range(256) if octet not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
#: every escape is consumed as a whole, so that an escaped backslash never begins another escape
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>\\u0000)|\\.",
    re.DOTALL,
)


class JsonInvalid(Invalid):
    """The octets are no JSON that we read. ``context['position']`` is a character offset, or None."""

    code = "malformed_json"

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message, position=position)
        self.position = position


class NotCanonical(Invalid):
    """The value has no canonical form: an integer beyond 2**53-1, say, which JCS cannot tell from its neighbours."""

    code = "not_canonical"


class Number(float):
    """A number that a plain float would write in another way: ``1.10``, ``1e2``, ``1e-999``; ``text`` is as read."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.text,)


def loads(octets: bytes, *, allow_nul: bool = False, max_depth: int = MAX_DEPTH) -> Any:
    r"""Read one JSON text: dict, list, str, int, float (or ``Number``), bool, None.

    ``allow_nul``: let ``\u0000`` pass, for CACAO documents, which are stored as octets. A nesting of
    ``max_depth`` is read, one more is not. Any value may stand at the top: the caller says whether it wants an object.

    Raises JsonInvalid. Linear in the size of ``octets``.
    """
    text = _decoded(octets)
    _check_depth(octets, max_depth)
    _check_escapes(text, allow_nul=allow_nul)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonInvalid(
            f"This is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.", position=error.pos
        ) from None


def dumps(value: Any) -> bytes:
    """Write ``value`` as compact UTF-8 JSON, members in their order, numbers as they were read.

    Raises TypeError for what is no JSON value, ValueError for NaN, infinities and lone surrogates.
    """
    return _text_of(value, sort=False, write_number=_number_as_read).encode("utf-8")


def canonical(value: Any) -> bytes:
    """Write ``value`` by JCS (RFC 8785), as signatures need it.

    Raises NotCanonical for an integer beyond 2**53-1, an infinity, a lone surrogate, and what is no JSON value.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        raise NotCanonical("The document holds an integer beyond 2^53-1, which JCS cannot write exactly.") from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NotCanonical(f"The document has no canonical form: {error}.") from None


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form as lower-case hexadecimal text; any value that was read has one.

    Where JCS gives up, at integers beyond 2**53-1, their own digits are written: equal digests then mean equal
    integers, and a document that cannot be signed can still be stored and compared.
    """
    try:
        octets = canonical(value)
    except NotCanonical:
        octets = _text_of(value, sort=True, write_number=_number_canonical).encode("utf-8")
    return hashlib.sha256(octets).hexdigest()


class ExactEncoder(json.JSONEncoder):
    """For ``json.dumps(cls=...)`` and Django's JSONField: writes numbers as they were read."""

    def encode(self, value: Any) -> str:
        return _text_of(value, sort=False, write_number=_number_as_read)


class ExactDecoder(json.JSONDecoder):
    """For Django's JSONField: keeps numbers as the database gives them. No reader for input from outside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "parse_float": _read_float})


def _decoded(octets: bytes) -> str:
    if not octets.strip():
        raise JsonInvalid("The body is empty; JSON was expected.", position=0)
    if octets.startswith(b"\xef\xbb\xbf"):
        raise JsonInvalid("JSON must not begin with a byte order mark.", position=0)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"JSON must be UTF-8; octet {error.start} is not.", position=error.start) from None


def _check_depth(octets: bytes, max_depth: int) -> None:
    if octets.count(b"[") + octets.count(b"{") <= max_depth:
        return
    brackets = _STRING.sub(b"", octets).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > max_depth:
        raise JsonInvalid(f"JSON is nested deeper than {max_depth} levels.")


def _check_escapes(text: str, *, allow_nul: bool) -> None:
    if "\\u" not in text:
        return
    for escape in _ESCAPE.finditer(text):
        if escape["lone"]:
            raise JsonInvalid(f"{escape[0]} is half of a surrogate pair.", position=escape.start())
        if escape["nul"] and not allow_nul:
            raise JsonInvalid("The character U+0000 is not accepted.", position=escape.start())


def _read_float(text: str) -> float:
    _check_length(text)
    number = float(text)
    if math.isinf(number):
        raise JsonInvalid(f"The number {_cut(text)} is beyond the range of a double.")
    return number if repr(number) == text else Number(text)


def _read_integer(text: str) -> int:
    _check_length(text.removeprefix("-"))
    return int(text)


def _check_length(text: str) -> None:
    if len(text) > MAX_NUMBER_LENGTH:
        raise JsonInvalid(f"A number of {len(text)} characters is too long; {MAX_NUMBER_LENGTH} are read.")


def _refuse_constant(name: str) -> None:
    raise JsonInvalid(f"{name} is no JSON value.")


def _read_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                raise JsonInvalid(f"The member {_cut(name)!r} is given twice in one object.")
            seen.add(name)
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_read_members,
    parse_float=_read_float,
    parse_int=_read_integer,
    parse_constant=_refuse_constant,
)


def _text_of(value: Any, *, sort: bool, write_number: Callable[[float], str]) -> str:
    return "".join(_pieces(value, sort, write_number))


def _pieces(value: Any, sort: bool, write_number: Callable[[float], str]) -> Iterator[str]:
    """Yield the text piece by piece; a stack of our own, so that depth costs no recursion."""
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    closers = [""]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            yield closers.pop()
            continue
        before, item = entry
        yield before
        if isinstance(item, Mapping):
            yield "{"
            stack.append(_members(item, sort))
            closers.append("}")
        elif isinstance(item, list | tuple):
            yield "["
            stack.append((("," if index else ""), element) for index, element in enumerate(item))
            closers.append("]")
        else:
            yield _scalar(item, write_number)


def _members(value: Mapping[str, Any], sort: bool) -> Iterator[tuple[str, Any]]:
    names = list(value)
    if not all(isinstance(name, str) for name in names):
        raise TypeError("The names of JSON members are text.")
    if sort:
        # JCS orders by UTF-16 code units (RFC 8785, 3.2.3).
        names.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    for index, name in enumerate(names):
        yield f"{',' if index else ''}{_string(name)}:", value[name]


def _scalar(value: Any, write_number: Callable[[float], str]) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is no JSON number.")
        return write_number(value)
    raise TypeError(f"{type(value).__name__} is no JSON value.")


def _string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number_as_read(value: float) -> str:
    return value.text if isinstance(value, Number) else float.__repr__(value)


def _number_canonical(value: float) -> str:
    return rfc8785.dumps(float(value)).decode("ascii")


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."
