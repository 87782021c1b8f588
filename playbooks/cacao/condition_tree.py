"""The tree of a parsed condition, as plain JSON, so that a stored version keeps it.

A test or a combination of tests:

    {"op": "and" | "or", "items": [tree, ...]}
    {"op": "not", "item": tree}
    {"op": "exists" | "truth", "path": path}
    {"op": "compare", "path": path, "operator": OPERATOR, "negated": bool, "right": operand}
    {"op": "in", "path": path, "negated": bool, "items": [operand, ...]}

    path     {"variable": name, "steps": [key, index, or null for [*], ...]}
    operand  {"kind": "text" | "number" | "timestamp" | "hex" | "base64", "value": text}
             {"kind": "bool", "value": bool}   {"kind": "variable", "path": path}

OPERATOR is one of ``= != > < >= <= LIKE MATCHES ISSUBSET ISSUPERSET``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from core.errors import Invalid

Tree = dict[str, Any]

#: Brackets and NOTs inside each other.
MAX_NESTING: Final = 64
#: Characters of one condition.
MAX_LENGTH: Final = 100_000

#: As written -> as kept.
EQUALITY: Final = {"=": "=", "==": "=", "!=": "!=", "<>": "!="}
ORDER: Final = {">": ">", "<": "<", ">=": ">=", "<=": "<="}
TEXT_OPERATORS: Final = frozenset({"LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"})
#: The reserved words of the STIX grammar: none of them is a key or a name.
KEYWORDS: Final = TEXT_OPERATORS | {
    *("AND", "OR", "NOT", "IN", "EXISTS", "FOLLOWEDBY", "LAST", "START", "STOP"),
    *("SECONDS", "WITHIN", "REPEATS", "TIMES", "true", "false"),
}


class NotACondition(Invalid):
    """The text is none that the grammar reads: prose, which a person decides (D18). The message says where it stops."""

    code = "not_a_condition"


def path(variable: str, steps: list[str | int | None]) -> Tree:
    return {"variable": variable, "steps": steps}


def operand(kind: str, value: str | bool) -> Tree:
    return {"kind": kind, "value": value}


def compare(left: Tree, operator: str, right: Tree, *, negated: bool) -> Tree:
    return {"op": "compare", "path": left, "operator": operator, "negated": negated, "right": right}


def combine(op: str, items: list[Tree]) -> Tree:
    return items[0] if len(items) == 1 else {"op": op, "items": items}


def variables_in(tree: Tree) -> tuple[str, ...]:
    """Return the names of the variables that ``tree`` reads, each once, in their order."""
    return tuple(dict.fromkeys(_variables(tree)))


def _variables(tree: Tree) -> Iterator[str]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if "variable" in node:
            yield node["variable"]
            continue
        children = [*node.get("items", ())]
        children += [node[name] for name in ("item", "path", "right") if name in node]
        # The path stands left of the operands, so it is taken from the stack first.
        children.sort(key=lambda child: "variable" in child)
        stack.extend(reversed(children) if node.get("op") in ("and", "or") else children)
