"""Commands for a shell: parts joined, each outside value quoted for the place it stands in (SECURITY.md 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from core.quoting.places import Place, TextPart, UnsafePlaceholder, fit, is_outside
from core.quoting.posix import PosixLexer
from core.quoting.powershell import PowerShellLexer
from core.quoting.programs import hands_text_over
from core.quoting.values import is_strict

Dialect = Literal["sh", "bash", "powershell"]


class _Lexer(Protocol):
    def read(self, text: str) -> None: ...
    def insert(self, value: str) -> None: ...
    def place(self, following: str) -> Place: ...
    def objection(self) -> str: ...


@dataclass(frozen=True)
class Rendered:
    """A piece of the final command; ``is_outside`` marks what the author did not write (rule 7)."""

    text: str
    is_outside: bool


def join_shell(parts: Sequence[TextPart], dialect: str) -> str:
    """Return the command. Raises UnsafePlaceholder, naming the place, before anything could be sent."""
    return "".join(piece.text for piece in render_shell(parts, dialect))


def render_shell(parts: Sequence[TextPart], dialect: str) -> tuple[Rendered, ...]:
    """Return the command in pieces, outside ones marked, as a dry run shows it. Raises UnsafePlaceholder."""
    lexer = _lexer(parts, dialect)
    rendered = tuple(_rendered(part, following, lexer) for part, following in _with_following(parts))
    if objection := lexer.objection():
        for part in parts:
            if is_outside(part) and not is_strict(part.text, part.type):
                raise UnsafePlaceholder(name=part.name, place=objection)
    return rendered


def places(parts: Sequence[TextPart], dialect: str) -> tuple[tuple[TextPart, Place], ...]:
    """Return where each outside part stands, values unseen: what does not take anything is an ``injection-risk``."""
    lexer, found = _lexer(parts, dialect), []
    for part, following in _with_following(parts):
        if is_outside(part):
            found.append((part, lexer.place(following)))
            lexer.insert("x")
        else:
            lexer.read(part.text)
    objection = lexer.objection()
    return tuple((part, Place(objection) if objection else place) for part, place in found)


def _rendered(part: TextPart, following: str, lexer: _Lexer) -> Rendered:
    if not is_outside(part):
        if "\0" in part.text:
            raise UnsafePlaceholder(name=part.name, place="in a command", reason="it holds the character U+0000")
        lexer.read(part.text)
        return Rendered(part.text, is_outside=False)
    text = fit(part, lexer.place(following))
    lexer.insert(part.text)
    return Rendered(text, is_outside=True)


@dataclass(frozen=True)
class _Author:
    text: str
    trust: str = "author"
    type: str = "string"
    name: str = ""


def _with_following(parts: Sequence[TextPart]) -> Iterator[tuple[TextPart, str]]:
    """Yield each part with the author text behind it; neighbouring author parts become one, as a lexer needs them."""
    merged: list[TextPart] = []
    for part in parts:
        if merged and not is_outside(part) and not is_outside(merged[-1]):
            merged[-1] = _Author(merged[-1].text + part.text)
        elif is_outside(part) or part.text:
            merged.append(part)
    for index, part in enumerate(merged):
        following = merged[index + 1] if index + 1 < len(merged) else None
        # A value behind a value: it may begin with anything, so the first is told of the worst.
        yield part, "" if following is None else "<" if is_outside(following) else following.text


def _lexer(parts: Sequence[TextPart], dialect: str) -> _Lexer:
    if dialect not in ("sh", "bash", "powershell"):
        return _Closed("in a dialect that is not known")
    if hands_text_over("".join("x" if is_outside(part) else part.text for part in parts)):
        return _Closed("in a script that hands text to an interpreter")
    return PowerShellLexer() if dialect == "powershell" else PosixLexer(is_bash=dialect == "bash")


@dataclass(frozen=True)
class _Closed:
    """In place of a lexer where no place is safe."""

    name: str

    def read(self, text: str) -> None:
        pass

    def insert(self, value: str) -> None:
        pass

    def objection(self) -> str:
        return ""

    def place(self, following: str) -> Place:  # noqa: ARG002 - a lexer's signature
        return Place(self.name)
