"""Where a value stands, and whether it fits there: rules 1, 2, 3, 5 and 6 of SECURITY.md 4."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from core.errors import Invalid
from core.quoting.values import is_strict

#: octets of UTF-8
MAX_VALUE: Final = 64 * 1024

#: rule 3: words that mean nothing to any shell, wherever they stand but as a command
SAFE_WORD: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@%+=,-]{0,4095}")
SAFE_IN_POWERSHELL: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:+=-]{0,4095}")
#: inside another language's text; two hyphens in a row begin a comment in SQL
SAFE_IN_CODE: Final = re.compile(r"(?!.*--)[A-Za-z0-9_./][A-Za-z0-9_./:-]{0,4095}")
#: the same where a slash or a colon may mean something: sed, awk, perl, and languages we do not know
SAFE_IN_TERSE_CODE: Final = re.compile(r"(?!.*--)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,4095}")
INTEGER: Final = re.compile(r"[0-9]{1,4096}")


class TextPart(Protocol):
    """A part of a text: ``connectors.base.Part`` is one. ``trust`` is ``author`` or ``outside``."""

    @property
    def text(self) -> str: ...
    @property
    def trust(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...


class UnsafePlaceholder(Invalid):
    """An outside value cannot be put where its placeholder stands. ``place`` names it; nothing was sent."""

    code = "unsafe_placeholder"

    def __init__(self, *, name: str, place: str, reason: str = "") -> None:
        why = reason or "no quoting is safe there; pass it by environment variable or standard input"
        super().__init__(f"The value of {name or 'a placeholder'} stands {place}: {why}.", name=name, place=place)
        self.name = name
        self.place = place


@dataclass(frozen=True)
class Place:
    """What a lexer says of the spot where a value is to stand.

    ``safe``: words that may stand there as they are; ``strict``: whether values of strict types may; ``encode``: the
    encoder for anything else. None each time: nothing of that kind fits. ``raw`` False: even a safe word needs the
    encoder. ``begins_word``: the value is the first character of an argument, where programs look for ``-`` and ``@``;
    ``after_dashes``: a ``--`` stands before it.
    """

    name: str
    safe: re.Pattern[str] | None = None
    strict: bool = True
    encode: Callable[[str], str] | None = None
    raw: bool = True
    begins_word: bool = False
    after_dashes: bool = False
    after_equals: bool = False
    #: a reason to refuse this value that lies in the place, or ""
    objection: Callable[[str], str] | None = None

    @property
    def takes_anything(self) -> bool:
        """Whether every value can be put here; where not, the checker reports ``injection-risk``."""
        return self.encode is not None


def is_outside(part: TextPart) -> bool:
    """Whether the value is to be distrusted: everything but author text (SEC-11)."""
    return part.trust != "author"


def check_value(part: TextPart) -> None:
    """Rule 6. Raises UnsafePlaceholder for NUL, more than 64 KiB, and text that is no UTF-8."""
    if "\0" in part.text:
        raise UnsafePlaceholder(name=part.name, place="in a command", reason="it holds the character U+0000")
    try:
        size = len(part.text.encode("utf-8"))
    except UnicodeEncodeError:
        raise UnsafePlaceholder(name=part.name, place="in a command", reason="it is no valid Unicode") from None
    if size > MAX_VALUE:
        raise UnsafePlaceholder(name=part.name, place="in a command", reason=f"it is longer than {MAX_VALUE} octets")


def fit(part: TextPart, place: Place) -> str:
    """Return the text to insert for an outside value. Raises UnsafePlaceholder."""
    check_value(part)
    value = part.text
    if place.objection and (reason := place.objection(value)):
        raise UnsafePlaceholder(name=part.name, place=place.name, reason=reason)
    strict = place.strict and is_strict(value, part.type)
    if strict or (place.safe and place.safe.fullmatch(value)):
        return value if place.raw else _encoded(part, place)
    _check_beginning(part, place)
    return _encoded(part, place)


def _encoded(part: TextPart, place: Place) -> str:
    if place.encode is None:
        raise UnsafePlaceholder(name=part.name, place=place.name)
    return place.encode(part.text)


def _check_beginning(part: TextPart, place: Place) -> None:
    first = part.text[:1]
    if first == "-" and place.begins_word and not place.after_dashes:
        reason = "it begins with '-', which a program takes for an option; write '--' before it"
    elif first == "@" and (place.begins_word or place.after_equals):
        reason = "it begins with '@', by which programs read files"
    else:
        return
    raise UnsafePlaceholder(name=part.name, place=place.name, reason=reason)
