"""References in a text, replaced by values that keep their type and origin (CACAO.md 12.11, D28, D29; SEC-10, SEC-11).

The stored playbook never changes, and what a value holds is never read as a reference.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from core.quoting import UnsafePlaceholder
from playbooks.cacao import references
from playbooks.cacao.references import Reference
from playbooks.cacao.types import Value, Variable
from playbooks.cacao.values import meant_type, text_of

#: Returns the declaration and the present value of a name, None where nothing has that name.
Lookup = Callable[[str], tuple[Variable, Value] | None]
Origin = Literal["author", "outside"]

#: The type of a part whose text is base64, because the octets it stands for are no text.
OCTETS: Final = "base64"


class UnresolvedVariable(Exception):
    """A reference has no value: null, or nothing of that name (D28). Nothing is sent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no value.")
        self.name = name


@dataclass(frozen=True)
class Part:
    """One part of a text: what the author wrote, or a value with its variable's type and name."""

    text: str
    trust: Origin = "author"
    type: str = "string"
    name: str = ""  # of the variable; "" for literal text


@dataclass(frozen=True)
class Plain:
    """A JSON value with its references replaced. ``outside``: the members (of the whole, if it is an object) whose
    value holds something from outside; ``""`` stands for the whole of anything else.
    """

    value: Any
    outside: frozenset[str]


def parts(text: str, lookup: Lookup, declared: Collection[str]) -> tuple[Part, ...]:
    """Return a command's ``text`` in parts, for the connector to join with the quoting of each place.

    ``declared``: the names in sight (see `references.split`). Raises UnresolvedVariable.
    """
    pieces = references.split(text, declared, dollars=True)
    return tuple(_value(piece, lookup) if isinstance(piece, Reference) else Part(piece) for piece in pieces)


def decoded_parts(encoded: str, lookup: Lookup, declared: Collection[str]) -> tuple[Part, ...]:
    """Return the parts of a text given as base64: references are replaced in the base64, then in what it says.

    In the base64 a reference can only stand for base64. In the decoded text only what the author wrote is searched:
    octets that came with a value are that value's. Octets that are no UTF-8 give one part of type ``base64``.

    Raises UnresolvedVariable, and UnsafePlaceholder where the result is no base64.
    """
    outer = tuple(
        _value(piece, lookup) if isinstance(piece, Reference) else Part(piece)
        for piece in references.split(encoded, declared, dollars=True)
    )
    octets = _decode(outer)
    found: list[Part] = []
    try:
        for start, end, origin in _runs(outer, len(octets)):
            text = octets[start:end].decode("utf-8")
            found += parts(text, lookup, declared) if origin is None else [replace(origin, text=text, type="string")]
    except UnicodeDecodeError:
        return (_octets(octets, outer),)
    return tuple(found)


def plain(value: Any, lookup: Lookup, declared: Collection[str]) -> Plain:
    """Return ``value`` (properties of an agent, a target or a login) with the references in all its texts replaced.

    Names of members are left alone. Raises UnresolvedVariable.
    """
    if not isinstance(value, Mapping):
        filled, is_outside = _fill(value, lookup, declared)
        return Plain(filled, frozenset({""} if is_outside else ()))
    members = {name: _fill(member, lookup, declared) for name, member in value.items()}
    return Plain(
        {name: filled for name, (filled, _) in members.items()},
        frozenset(name for name, (_, is_outside) in members.items() if is_outside),
    )


def _value(reference: Reference, lookup: Lookup) -> Part:
    found = lookup(reference.name)
    if found is None or found[1] is None:
        raise UnresolvedVariable(reference.name)
    variable, value = found
    origin: Origin = "author" if variable.is_author_text else "outside"
    return Part(text_of(value), origin, meant_type(variable.type), reference.name)


def _fill(value: Any, lookup: Lookup, declared: Collection[str]) -> tuple[Any, bool]:
    """Return a value with its references replaced, and whether anything in it is from outside."""
    if isinstance(value, str):
        pieces = references.split(value, declared)
        found = [_value(piece, lookup) if isinstance(piece, Reference) else Part(piece) for piece in pieces]
        return "".join(part.text for part in found), any(part.trust == "outside" for part in found)
    if isinstance(value, Mapping):
        members = {name: _fill(member, lookup, declared) for name, member in value.items()}
        return {name: filled for name, (filled, _) in members.items()}, any(o for _, o in members.values())
    if isinstance(value, list | tuple):
        items = [_fill(item, lookup, declared) for item in value]
        return [filled for filled, _ in items], any(is_outside for _, is_outside in items)
    return value, False


def _decode(outer: tuple[Part, ...]) -> bytes:
    try:
        return base64.b64decode("".join(part.text for part in outer), validate=True)
    except (binascii.Error, ValueError):
        name = next((part.name for part in outer if part.name), "")
        raise UnsafePlaceholder(name=name, place="in base64", reason="with it the text is no base64") from None


def _runs(outer: tuple[Part, ...], length: int) -> list[tuple[int, int, Part | None]]:
    """Return (start, end, value it came with) for the decoded octets; None where the author's base64 alone says them.

    An octet that two values share is the outside one's.
    """
    runs: list[tuple[int, int, Part | None]] = []
    at = 0  # in characters of base64: character i holds the bits 6i to 6i + 5
    done = 0  # in octets
    for part in outer:
        first, after = at * 6 // 8, min(length, -(-(at + len(part.text)) * 6 // 8))
        at += len(part.text)
        if not part.name:
            continue
        if done < first:
            runs.append((done, first, None))
        elif first < done and part.trust == "outside":
            runs[-1] = (runs[-1][0], first, runs[-1][2])
            done = first
        runs.append((max(first, done), after, part))
        done = max(after, done)
    if done < length:
        runs.append((done, length, None))
    return [run for run in runs if run[0] < run[1]]


def _octets(octets: bytes, outer: tuple[Part, ...]) -> Part:
    outside = next((part for part in outer if part.trust == "outside"), Part(""))
    return Part(base64.b64encode(octets).decode("ascii"), outside.trust, OCTETS, outside.name)
