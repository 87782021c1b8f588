"""References to variables inside text: ``__name__:value``.

Source: CACAO Security Playbooks 2.0, variables; CACAO.md sections 9 and 12.11.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_NAME_LENGTH: Final = 250

_REGULAR = re.compile(r"__[A-Za-z][A-Za-z0-9_-]*__")
#: In free text a name ends at the first ``__``.
_FREE = r"__[A-Za-z](?:(?!__)[A-Za-z0-9_-]){0,245}__"
_FREE_NAME = re.compile(_FREE)


@dataclass(frozen=True)
class Reference:
    """One reference in a text. ``text`` is as written, ``name`` the variable meant."""

    name: str
    text: str


def is_regular(name: str) -> bool:
    """Return whether ``name`` obeys the rule of section 9; a lenient import takes others exactly as written."""
    return len(name) <= MAX_NAME_LENGTH and _REGULAR.fullmatch(name) is not None


def split(text: str, declared: Collection[str] = (), *, dollars: bool = False) -> tuple[str | Reference, ...]:
    """Cut ``text`` into literal text and references, in order; joined again, the pieces give ``text``.

    ``declared``: the names in sight. Only there are names found that hold ``__`` inside or break the rule of
    section 9. ``dollars``: also read ``$$name$$`` where ``name`` or ``__name__`` is a declared name that breaks the
    rule (13.3), as commands of a lenient import have it.
    """
    pattern, names = _pattern(_irregular(declared), dollars)
    pieces: list[str | Reference] = []
    end = 0
    for match in pattern.finditer(text):
        if match.start() > end:
            pieces.append(text[end : match.start()])
        written = match[0].removesuffix(":value")
        pieces.append(Reference(name=names.get(written, written), text=match[0]))
        end = match.end()
    if end < len(text):
        pieces.append(text[end:])
    return tuple(pieces)


def names_in(text: str, declared: Collection[str] = (), *, dollars: bool = False) -> tuple[str, ...]:
    """Return the names that ``text`` refers to, each once, in the order of their first use."""
    found = split(text, declared, dollars=dollars)
    return tuple(dict.fromkeys(piece.name for piece in found if isinstance(piece, Reference)))


def without_value(text: str, declared: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names written as ``__name__`` without ``:value``: plain text, and worth a warning."""
    literal = (piece for piece in split(text, declared) if isinstance(piece, str))
    return tuple(dict.fromkeys(match[0] for piece in literal for match in _FREE_NAME.finditer(piece)))


def _irregular(declared: Collection[str]) -> frozenset[str]:
    """Return the declared names that the pattern for free text does not find by itself."""
    return frozenset(
        name for name in declared if name and not (len(name) <= MAX_NAME_LENGTH and _FREE_NAME.fullmatch(name))
    )


@lru_cache(maxsize=256)
def _pattern(irregular: frozenset[str], dollars: bool) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """Return the pattern for a set of names, and what each written form stands for where that is not itself."""
    forms: dict[str, str] = {}
    # Longest first: of two declared names that begin alike the longer one is meant.
    alternatives = [_exact(name) for name in sorted(irregular, key=lambda name: (-len(name), name))]
    if dollars:
        for name in sorted(irregular):
            if not is_regular(name):
                forms.setdefault(_in_dollars(name), name)
        alternatives += [f"{re.escape(form)}(?::value)?" for form in sorted(forms, key=len, reverse=True)]
    alternatives.append(f"{_FREE}:value")
    return re.compile("|".join(alternatives)), forms


def _exact(name: str) -> str:
    boundary = "" if name[0] in "_$" else r"(?<![A-Za-z0-9_-])"
    return f"{boundary}{re.escape(name)}:value"


def _in_dollars(name: str) -> str:
    if len(name) > 4 and name.startswith("$$") and name.endswith("$$"):
        return name
    if len(name) > 4 and name.startswith("__") and name.endswith("__"):
        return f"$${name[2:-2]}$$"
    return f"$${name}$$"
