"""The strict grammar of conditions: the comparison expressions of the STIX 2.1 pattern grammar.

Source: CACAO.md 14.1. Tokens are cut as that grammar cuts them: white space and ``/* */`` may stand between any two.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

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

#: What the STIX grammar calls white space.
SPACE: Final = r"[ \t\r\n\u000B\u000C\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
TIMESTAMP: Final = (
    r"t'[0-9]{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?Z'"
)
HEX: Final = r"h'(?:[0-9A-Fa-f]{2})*'"
BASE64: Final = r"b'(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)'"
TEXT: Final = r"'(?:[^'\\]|\\'|\\\\)*'"
FLOAT: Final = r"[+-]?[0-9]*\.[0-9]+"
INTEGER: Final = r"[+-]?(?:0|[1-9][0-9]*)"

_TOKEN = re.compile(
    rf"(?P<space>(?:{SPACE}|/\*.*?\*/)+)|(?P<timestamp>{TIMESTAMP})|(?P<hex>{HEX})|(?P<base64>{BASE64})"
    rf"|(?P<text>{TEXT})|(?P<float>{FLOAT})|(?P<integer>{INTEGER})|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign><=|>=|<>|!=|==|[=<>():.,\[\]*])",
    re.DOTALL,
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Token(NamedTuple):
    kind: str  # a group of _TOKEN, "keyword", or "end"
    text: str
    at: int


def parse_strict(text: str) -> Tree:
    """Return the tree of ``text``. Raises NotACondition."""
    parser = _Parser(_tokens(text))
    tree = parser.condition(0)
    parser.expect("end", "")
    return tree


def unescape(text: str) -> str:
    """Return what a text literal without its quotes stands for."""
    return re.sub(r"\\(['\\])", r"\1", text)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotACondition(f"Character {at + 1} begins nothing that a condition can hold.")
        kind = str(match.lastgroup)
        if kind == "word" and match[0] in KEYWORDS:
            kind = "keyword"
        if kind != "space":
            tokens.append(_Token(kind, match[0], at))
        at = match.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def condition(self, depth: int) -> Tree:
        if depth > MAX_NESTING:
            raise NotACondition(f"The condition is nested deeper than {MAX_NESTING} levels.")
        alternatives = [self._conjunction(depth)]
        while self._take("keyword", "OR"):
            alternatives.append(self._conjunction(depth))
        return combine("or", alternatives)

    def expect(self, kind: str, text: str) -> _Token:
        token = self._tokens[self._next]
        if token.kind != kind or (text and token.text != text):
            found = f"{token.text[:40]!r}" if token.text else "the end"
            raise NotACondition(f"At character {token.at + 1} stands {found} instead of {text or kind!r}.")
        self._next += 1
        return token

    def _conjunction(self, depth: int) -> Tree:
        tests = [self._test(depth)]
        while self._take("keyword", "AND"):
            tests.append(self._test(depth))
        return combine("and", tests)

    def _test(self, depth: int) -> Tree:
        if self._take("sign", "("):
            tree = self.condition(depth + 1)
            self.expect("sign", ")")
            return tree
        if self._take("keyword", "NOT"):
            self.expect("keyword", "EXISTS")
            return {"op": "not", "item": {"op": "exists", "path": self._path()}}
        if self._take("keyword", "EXISTS"):
            return {"op": "exists", "path": self._path()}
        return self._comparison(self._path())

    def _comparison(self, left: Tree) -> Tree:
        negated = self._take("keyword", "NOT")
        token = self._tokens[self._next]
        if self._take("keyword", "IN"):
            return {"op": "in", "path": left, "negated": negated, "items": self._set()}
        if token.kind == "keyword" and token.text in TEXT_OPERATORS:
            self._next += 1
            right = operand("text", unescape(self.expect("text", "").text[1:-1]))
            return compare(left, token.text, right, negated=negated)
        if token.kind == "sign" and token.text in EQUALITY:
            self._next += 1
            return compare(left, EQUALITY[token.text], self._literal(), negated=negated)
        if token.kind == "sign" and token.text in ORDER:
            self._next += 1
            return compare(left, ORDER[token.text], self._orderable(), negated=negated)
        raise NotACondition(f"At character {token.at + 1} a comparison such as = or IN is missing.")

    def _set(self) -> list[Tree]:
        self.expect("sign", "(")
        if self._take("sign", ")"):
            return []
        items = [self._literal()]
        while self._take("sign", ","):
            items.append(self._literal())
        self.expect("sign", ")")
        return items

    def _path(self) -> Tree:
        word = self.expect("word", "")
        if not is_regular(word.text):
            raise NotACondition(f"{word.text[:40]!r} at character {word.at + 1} is no name of a variable.")
        self.expect("sign", ":")
        self.expect("word", "value")
        steps: list[str | int | None] = []
        while True:
            if self._take("sign", "."):
                steps.append(self._key())
            elif self._take("sign", "["):
                steps.append(None if self._take("sign", "*") else index(self.expect("integer", "").text))
                self.expect("sign", "]")
            else:
                return path(word.text, steps)

    def _key(self) -> str:
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "text":
            return unescape(token.text[1:-1])
        if token.kind == "word" and _KEY.fullmatch(token.text):
            return token.text
        raise NotACondition(f"At character {token.at + 1} a key is missing.")

    def _literal(self) -> Tree:
        token = self._tokens[self._next]
        if token.kind == "keyword" and token.text in ("true", "false"):
            self._next += 1
            return operand("bool", token.text == "true")
        return self._orderable()

    def _orderable(self) -> Tree:
        token = self._tokens[self._next]
        tree = literal(token.kind, token.text)
        if tree is None:
            raise NotACondition(f"At character {token.at + 1} a literal such as 5 or 'text' is missing.")
        self._next += 1
        return tree

    def _take(self, kind: str, text: str) -> bool:
        token = self._tokens[self._next]
        if token.kind != kind or token.text != text:
            return False
        self._next += 1
        return True


def index(text: str) -> int:
    """Return the index that ``text`` writes; one with more digits than any list has elements is cut."""
    return int(text[:19])


def literal(kind: str, text: str) -> Tree | None:
    """Return the operand that a token of a literal stands for, None for another token."""
    if kind == "text":
        return operand("text", unescape(text[1:-1]))
    if kind in ("integer", "float"):
        return operand("number", text)
    if kind in ("timestamp", "hex", "base64"):
        return operand(kind, text[2:-1])
    return None
