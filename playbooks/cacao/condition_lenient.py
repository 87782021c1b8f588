"""The lenient forms of conditions, as people and other tools write them.

Source: CACAO.md 14.3. Read left to right without tokens of its own, because what a word means depends on its side:
on the left it is a variable or nothing, on the right it may be text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from playbooks.cacao import condition_strict as strict
from playbooks.cacao.condition_tree import (
    EQUALITY,
    KEYWORDS,
    MAX_NESTING,
    ORDER,
    TEXT_OPERATORS,
    NotACondition,
    Tree,
    combine,
    compare,
    operand,
    path,
)
from playbooks.cacao.references import is_regular

_SPACE = re.compile(rf"(?:{strict.SPACE}|/\*.*?\*/)+", re.DOTALL)
_SIGN = re.compile(r"<=|>=|<>|!=|==|[=<>]")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOLLARS = re.compile(r"\$\$([^$\s]+)\$\$")
_INDEX = re.compile(rf"\[(?:{strict.SPACE})*(\*|{strict.INTEGER})(?:{strict.SPACE})*\]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NUMBER = re.compile(rf"{strict.FLOAT}|{strict.INTEGER}")
#: a bare word on the right: no quotes, brackets, operators or commas, and a letter or digit first
_BARE = re.compile(r"[^\W_][^\s()\[\],'\"$=<>!;|&~]*|[+-]?[0-9.]+|_[^\s()\[\],'\"$=<>!;|&~]*")
_STRICT_LITERALS: Final = {
    "timestamp": re.compile(strict.TIMESTAMP),
    "hex": re.compile(strict.HEX),
    "base64": re.compile(strict.BASE64),
    "text": re.compile(strict.TEXT),
}
_RESERVED = frozenset(word.upper() for word in KEYWORDS)


class LenientParser:
    """One text, read once."""

    def __init__(self, text: str, declared: Collection[str]) -> None:
        whole = text.strip()
        inside_brackets = whole.startswith("[") and whole.endswith("]")
        self._text = whole[1:-1] if inside_brackets else text
        self._at = 0
        self._declared = frozenset(declared)
        # Longest first: of two declared names that begin alike the longer one is meant.
        self._irregular = sorted((name for name in declared if name and not is_regular(name)), key=len, reverse=True)
        self._space()

    def parse(self) -> Tree:
        """Return the tree. Raises NotACondition."""
        tree = self._condition(0)
        if self._at < len(self._text):
            raise self._missing("AND, OR or the end")
        return tree

    def only_variable(self) -> tuple[str, bool] | None:
        """Return the variable that is the whole text, and whether it is written strictly; None for anything else."""
        start = self._at
        name = self._variable()
        if name is None or self._at < len(self._text):
            return None
        return name, is_regular(name) and self._text[start:].strip() == f"{name}:value"

    def _condition(self, depth: int) -> Tree:
        alternatives = [self._conjunction(depth)]
        while self._keyword("OR"):
            alternatives.append(self._conjunction(depth))
        return combine("or", alternatives)

    def _conjunction(self, depth: int) -> Tree:
        tests = [self._test(depth)]
        while self._keyword("AND"):
            tests.append(self._test(depth))
        return combine("and", tests)

    def _test(self, depth: int) -> Tree:
        if depth > MAX_NESTING:
            raise NotACondition(f"The condition is nested deeper than {MAX_NESTING} levels.")
        if self._keyword("NOT"):
            return {"op": "not", "item": self._test(depth + 1)}
        if self._literally("("):
            tree = self._condition(depth + 1)
            if not self._literally(")"):
                raise self._missing(")")
            return tree
        if self._keyword("EXISTS"):
            return {"op": "exists", "path": self._left()}
        return self._comparison(self._left())

    def _comparison(self, left: Tree) -> Tree:
        negated = self._keyword("NOT")
        if self._keyword("IN"):
            return {"op": "in", "path": left, "negated": negated, "items": self._set()}
        for word in sorted(TEXT_OPERATORS):
            if self._keyword(word):
                return compare(left, word, self._right({"text", "variable"}), negated=negated)
        sign = _SIGN.match(self._text, self._at)
        if sign is None and negated:
            raise self._missing("a comparison")
        if sign is None:
            return {"op": "truth", "path": left}
        self._move(sign.end())
        if sign[0] in EQUALITY:
            return compare(left, EQUALITY[sign[0]], self._right(), negated=negated)
        return compare(left, ORDER[sign[0]], self._right(_ORDERABLE), negated=negated)

    def _set(self) -> list[Tree]:
        if not self._literally("("):
            raise self._missing("(")
        items: list[Tree] = []
        while not self._literally(")"):
            if items and not self._literally(","):
                raise self._missing(") or ,")
            items.append(self._right())
        return items

    def _left(self) -> Tree:
        name = self._variable()
        if name is None:
            raise self._missing("a variable")
        return path(name, self._steps())

    def _variable(self) -> str | None:
        """Read a variable in any of its forms and move behind it; None, without moving, where there is none."""
        for name, end in self._candidates():
            with_value = self._text.startswith(":value", end)
            if name in self._declared or (with_value and is_regular(name)):
                self._move(end + (len(":value") if with_value else 0))
                return name
        return None

    def _candidates(self) -> list[tuple[str, int]]:
        """Return the names that the text here may mean, with where each ends, the likeliest first."""
        found = [
            (name, self._at + len(name))
            for name in self._irregular
            if self._text.startswith(name, self._at) and self._ends_name(self._at + len(name))
        ]
        written = _DOLLARS.match(self._text, self._at) or _WORD.match(self._text, self._at)
        if written is not None:
            bare = written[1] if written.re is _DOLLARS else written[0]
            if bare.upper() not in _RESERVED:
                found += [(name, written.end()) for name in (written[0], bare, f"__{bare}__")]
        return found

    def _ends_name(self, at: int) -> bool:
        return not re.match(r"[A-Za-z0-9_-]", self._text[at : at + 1])

    def _steps(self) -> list[str | int | None]:
        steps: list[str | int | None] = []
        while True:
            index = _INDEX.match(self._text, self._at)
            if index is not None:
                steps.append(None if index[1] == "*" else strict.index(index[1]))
                self._move(index.end())
            elif self._text.startswith(".", self._at):
                self._move(self._at + 1)
                steps.append(self._key())
            else:
                return steps

    def _key(self) -> str:
        key = _KEY.match(self._text, self._at)
        if key is not None:
            self._move(key.end())
            return key[0]
        text = _STRICT_LITERALS["text"].match(self._text, self._at)
        if text is None:
            raise self._missing("a key")
        self._move(text.end())
        return strict.unescape(text[0][1:-1])

    def _right(self, kinds: Collection[str] | None = None) -> Tree:
        start = self._at
        for read in (self._quoted, self._right_variable, self._bare):
            right = read()
            if right is None:
                continue
            if kinds is not None and right["kind"] not in kinds:
                self._at = start
                break
            return right
        raise self._missing("a value")

    def _quoted(self) -> Tree | None:
        for kind, pattern in _STRICT_LITERALS.items():
            match = pattern.match(self._text, self._at)
            if match is not None:
                self._move(match.end())
                return strict.literal(kind, match[0])
        match = _QUOTED.match(self._text, self._at)
        if match is None:
            return None
        self._move(match.end())
        return operand("text", re.sub(r'\\(["\\])', r"\1", match[1]))

    def _right_variable(self) -> Tree | None:
        """Read ``__y__:value``, ``__y__`` or ``$$y$$``; a bare name is text on this side, declared or not."""
        start = self._at
        name = self._variable()
        if name is None:
            return None
        written = self._text[start : self._at].strip()
        if written.startswith(("__", "$$")) or written.endswith(":value"):
            return {"kind": "variable", "path": path(name, self._steps())}
        self._at = start
        return None

    def _bare(self) -> Tree | None:
        match = _BARE.match(self._text, self._at)
        if match is None:
            return None
        word = match[0]
        if word.lower() in ("true", "false"):
            right = operand("bool", word.lower() == "true")
        elif word.upper() in _RESERVED or word.startswith("__"):
            # A word of the grammar, or a variable that is declared nowhere, is never meant as text.
            return None
        else:
            right = operand("number" if _NUMBER.fullmatch(word) else "text", word)
        self._move(match.end())
        return right

    def _keyword(self, word: str) -> bool:
        match = _WORD.match(self._text, self._at)
        if match is None or match[0].upper() != word:
            return False
        self._move(match.end())
        return True

    def _literally(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._move(self._at + len(text))
        return True

    def _move(self, at: int) -> None:
        self._at = at
        self._space()

    def _space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        if match is not None:
            self._at = match.end()

    def _missing(self, what: str) -> NotACondition:
        found = repr(self._text[self._at : self._at + 40]) if self._at < len(self._text) else "the end"
        return NotACondition(f"At character {self._at + 1} stands {found} instead of {what}.")


_ORDERABLE: Final = frozenset({"text", "number", "timestamp", "hex", "base64", "variable"})
