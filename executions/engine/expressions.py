"""The expressions of S4E condition steps: comparisons of paths and literals, joined by and, or, not.

Source: contracts/s4e.md, templates. A quoted text may hold templates; they are filled in as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from core import strict_json
from executions.engine.json_values import contains, have_order, same
from executions.engine.template_text import (
    PATH,
    PLACEHOLDER,
    Path,
    Template,
    TemplateInvalid,
    parse_template,
    reach,
)

#: Brackets and ``not`` inside each other.
MAX_NESTING: Final = 64
#: Characters of one expression.
MAX_LENGTH: Final = 10_000


class ExpressionError(TypeError):
    """The values do not fit the expression: text compared with a number, say, or an ``and`` of what is no boolean."""


@dataclass(frozen=True)
class Literal:
    value: Any  # text, number, boolean or None


@dataclass(frozen=True)
class Text:
    """Quoted text with templates in it."""

    template: Template


@dataclass(frozen=True)
class PathOf:
    path: Path


@dataclass(frozen=True)
class Compare:
    operator: str  # == != < <= > >= in "not in"
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not:
    item: Expression


@dataclass(frozen=True)
class Joined:
    operator: str  # and, or
    items: tuple[Expression, ...]


Expression = Literal | Text | PathOf | Compare | Not | Joined

_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<braces>{PLACEHOLDER.pattern})|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    rf"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))|(?P<path>{PATH})"
    r"|(?P<sign>==|!=|<=|>=|[<>()])",
    re.DOTALL,
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_WORDS: Final = frozenset({"and", "or", "not", "in", *_CONSTANTS})
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


class _Token(NamedTuple):
    kind: str  # a group of _TOKEN, "word", or "end"
    text: str
    at: int


def parse_expression(text: str) -> Expression:
    """Read one expression. Raises TemplateInvalid, whose message says where it stops."""
    if len(text) > MAX_LENGTH:
        raise TemplateInvalid(f"An expression has at most {MAX_LENGTH} characters.")
    parser = _Parser(_tokens(text))
    expression = parser.either(0)
    parser.end()
    return expression


def evaluate(expression: Expression, context: Mapping[str, Any]) -> bool:
    """Return whether ``expression`` holds. Left to right; what is not reached cannot be an error.

    Raises UndefinedPath for a path that leads to nothing, ExpressionError for values that do not fit.
    """
    return _truth(_value(expression, context))


def paths_in(expression: Expression) -> Iterator[Path]:
    """Yield the paths that ``expression`` reads."""
    if isinstance(expression, PathOf):
        yield expression.path
    elif isinstance(expression, Text):
        yield from expression.template.paths
    elif isinstance(expression, Compare):
        yield from paths_in(expression.left)
        yield from paths_in(expression.right)
    elif isinstance(expression, Not):
        yield from paths_in(expression.item)
    elif isinstance(expression, Joined):
        for item in expression.items:
            yield from paths_in(item)


def _value(expression: Expression, context: Mapping[str, Any]) -> Any:
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Text):
        return expression.template.text(context)
    if isinstance(expression, PathOf):
        return reach(expression.path, context)
    if isinstance(expression, Not):
        return not _truth(_value(expression.item, context))
    if isinstance(expression, Joined):
        decides = expression.operator == "or"
        return decides if any(_truth(_value(i, context)) is decides for i in expression.items) else not decides
    left, right = _value(expression.left, context), _value(expression.right, context)
    return _compare(expression.operator, left, right)


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator in ("==", "!="):
        return same(left, right) is (operator == "==")
    if operator in ("in", "not in"):
        found = left in right if isinstance(right, Mapping) and isinstance(left, str) else contains(right, left)
        if found is None:
            raise ExpressionError(f"{operator} needs a list, or text in text.")
        return found is (operator == "in")
    if not have_order(left, right):
        raise ExpressionError(f"{operator} compares two numbers or two texts.")
    if operator in ("<", "<="):
        return bool(left < right or (operator == "<=" and left == right))
    return bool(left > right or (operator == ">=" and left == right))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError("What stands alone in an expression must be true or false.")
    return value


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TemplateInvalid(f"At character {at + 1} stands {text[at : at + 40]!r}, which no expression can hold.")
        kind = str(match.lastgroup)
        if kind == "path" and match[0] in _WORDS:
            kind = "word"
        if kind != "space":
            tokens.append(_Token(kind, match[0], at))
        at = match.end()
    tokens.append(_Token("end", "the end", len(text)))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def either(self, depth: int) -> Expression:
        return self._joined("or", self._both, depth)

    def end(self) -> None:
        if self._tokens[self._next].kind != "end":
            raise self._unexpected("and, or or the end")

    def _both(self, depth: int) -> Expression:
        return self._joined("and", self._negated, depth)

    def _joined(self, word: str, read: Callable[[int], Expression], depth: int) -> Expression:
        items = [read(depth)]
        while self._take("word", word):
            items.append(read(depth))
        return items[0] if len(items) == 1 else Joined(word, tuple(items))

    def _negated(self, depth: int) -> Expression:
        if depth > MAX_NESTING:
            raise TemplateInvalid(f"The expression is nested deeper than {MAX_NESTING} levels.")
        if self._take("word", "not"):
            return Not(self._negated(depth + 1))
        left = self._side(depth)
        operator = self._operator()
        return left if operator is None else Compare(operator, left, self._side(depth))

    def _operator(self) -> str | None:
        token = self._tokens[self._next]
        if token.kind == "sign" and token.text in _COMPARISONS:
            self._next += 1
            return token.text
        if self._take("word", "in"):
            return "in"
        if self._take("word", "not"):
            if not self._take("word", "in"):
                raise self._unexpected("in")
            return "not in"
        return None

    def _side(self, depth: int) -> Expression:
        if self._take("sign", "("):
            inside = self.either(depth + 1)
            if not self._take("sign", ")"):
                raise self._unexpected(")")
            return inside
        token = self._tokens[self._next]
        side = _side_of(token)
        if side is None:
            raise self._unexpected("a path or a literal")
        self._next += 1
        return side

    def _take(self, kind: str, text: str) -> bool:
        token = self._tokens[self._next]
        if token.kind != kind or token.text != text:
            return False
        self._next += 1
        return True

    def _unexpected(self, wanted: str) -> TemplateInvalid:
        token = self._tokens[self._next]
        return TemplateInvalid(f"At character {token.at + 1} stands {token.text[:40]!r} instead of {wanted}.")


def _side_of(token: _Token) -> Expression | None:
    """Return the side of a comparison that a token is, None for one that is none."""
    if token.kind == "path":
        return PathOf(tuple(token.text.split(".")))
    if token.kind == "braces":
        return PathOf(tuple(token.text[2:-2].strip().split(".")))
    if token.kind == "number":
        return Literal(_number(token))
    if token.kind == "word" and token.text in _CONSTANTS:
        return Literal(_CONSTANTS[token.text])
    if token.kind == "text":
        template = parse_template(re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL))
        return Text(template) if template.paths else Literal("".join(map(str, template.pieces)))
    return None


def _number(token: _Token) -> Any:
    try:
        return strict_json.loads(token.text.encode("ascii"))
    except strict_json.JsonInvalid as error:
        raise TemplateInvalid(f"At character {token.at + 1}: {error}") from None
