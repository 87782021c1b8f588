"""Checks of conditions: what cannot fit the variable's type, and what is always true or always false.

Source: CACAO.md 9, 14.2 and 15. Only what is certain is said: a comparison of which nothing is known may go either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from playbooks.cacao import values
from playbooks.cacao.check_findings import quoted
from playbooks.cacao.check_model import Model, Slot
from playbooks.cacao.check_ranges import Range, contradicts
from playbooks.cacao.findings import pointer
from playbooks.cacao.types import Step, Value, Variable

Tree = Mapping[str, Any]

_ORDERS: Final = frozenset({">", "<", ">=", "<="})
_UNORDERED: Final = values.ADDRESS_TYPES | values.HEX_TYPES | {"bool", "mac-addr", "uri", "uuid"}
_MAX_PATTERN: Final = 1_000
#: Nodes of one condition that are looked at.
_MAX_NODES: Final = 10_000


def check_conditions(model: Model) -> None:
    written = model.anywhere(model.written)
    for key, step in model.workflow.steps.items():
        if step.condition is None or _is_large(step.condition):
            continue
        at = pointer("workflow", key, "condition")
        faults = list(dict.fromkeys(_faults(model, step)))
        if faults:
            model.findings.add("condition-type", at, " ".join(faults[:3]))
            continue
        always = _Truth(model, step, written).of(step.condition)
        if always is not None:
            message = (
                f"The condition is always {str(always).lower()}, whatever happens; test what a step returns or a start "
                "gives, or leave the step out."
            )
            model.findings.add("condition-constant", at, message)


def _is_large(tree: Tree) -> bool:
    return sum(1 for _ in _nodes(tree)) > _MAX_NODES


def _nodes(tree: Tree) -> Iterator[Tree]:
    """Yield every test of a condition, and every combination of them."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        if node["op"] in ("and", "or"):
            pending += node["items"]
        elif node["op"] == "not":
            pending.append(node["item"])


# -- types


def _faults(model: Model, step: Step) -> Iterator[str]:
    for node in _nodes(step.condition or {}):
        if node["op"] in ("and", "or", "not"):
            continue
        name, steps = node["path"]["variable"], node["path"]["steps"]
        for _, variable in model.meant(name, step):
            kind = values.meant_type(variable.type)
            if steps and kind != "dictionary":
                yield f"{quoted(name)} is of type {kind}, which has no members; declare it as a dictionary."
            elif node["op"] == "truth" and not steps and kind not in ("bool", "string"):
                yield f"{quoted(name)} is of type {kind}, which is neither true nor false; compare it with a value."
            elif not steps and node["op"] in ("compare", "in"):
                yield from _faults_of_test(node, name, kind)


def _faults_of_test(node: Tree, name: str, kind: str) -> Iterator[str]:
    operator = node.get("operator", "=")
    if kind == "dictionary":
        yield f"{quoted(name)} is a dictionary, of which only members are compared, such as `{name[:100]}:value.a`."
        return
    if operator in _ORDERS and kind in _UNORDERED:
        yield f"{operator} has no meaning for {quoted(name)}, which is of type {kind}; test with = or !=."
        return
    if operator in ("ISSUBSET", "ISSUPERSET") and kind not in values.ADDRESS_TYPES:
        yield f"{operator} compares addresses, and {quoted(name)} is of type {kind}."
        return
    if operator in ("LIKE", "MATCHES") and (kind in values.NUMBER_TYPES or kind == "bool"):
        yield f"{operator} compares text, and {quoted(name)} is of type {kind}."
        return
    for operand in node["items"] if node["op"] == "in" else [node["right"]]:
        if operand["kind"] != "variable" and not _fits(operand, operator, kind):
            yield f"{quoted(name)} is of type {kind}, which cannot be compared with {_shown(operand)} by {operator}."


def _shown(operand: Tree) -> str:
    value = operand["value"]
    return str(value).lower() if isinstance(value, bool) else quoted(str(value))


def _fits(operand: Tree, operator: str, kind: str) -> bool:
    """Return whether a literal can be compared with a value of this type, as 14.2 has it."""
    literal, value = operand["kind"], operand["value"]
    if operator == "MATCHES":
        return literal == "text" and len(value) <= _MAX_PATTERN and _is_pattern(value)
    if operator in ("LIKE", "ISSUBSET", "ISSUPERSET"):
        return literal == "text" and (operator == "LIKE" or _is_network(value, kind))
    if literal == "timestamp":
        return kind == "string"
    if literal in ("hex", "base64"):
        return kind == "string" or kind in values.HEX_TYPES
    if literal == "bool":
        return kind in ("bool", "string")
    if literal == "number":
        return kind in values.NUMBER_TYPES or kind == "string"
    return kind == "string" or _converts(value, "float" if kind in values.NUMBER_TYPES else kind)


def _converts(value: str, kind: str) -> bool:
    try:
        return values.convert(value, kind) is not None
    except ValueError:
        return False


def _is_pattern(text: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error:
        return False
    return True


def _is_network(text: str, kind: str) -> bool:
    try:
        values.address_of(text.strip(), kind)
    except ValueError:
        return False
    return True


# -- truth


@dataclass(frozen=True)
class _Truth:
    """What is known of a condition before anything runs. ``written``: the variables that some step writes."""

    model: Model
    step: Step
    written: set[Slot]

    def of(self, tree: Tree) -> bool | None:
        """Return the truth that a condition always has, None where it may be either. It nests 64 deep at most."""
        op = tree["op"]
        if op == "not":
            inner = self.of(tree["item"])
            return None if inner is None else not inner
        if op in ("and", "or"):
            found = [self.of(item) for item in tree["items"]]
            is_or: bool = op == "or"
            if is_or in found:
                return is_or
            return self._together(tree) if None in found else not is_or
        if op == "in" and not tree["items"]:
            return tree["negated"] is True
        return self._of_test(tree)

    def _together(self, tree: Tree) -> bool | None:
        """Look for tests of one variable that cannot all hold (AND), or of which one always holds (OR)."""
        is_and = tree["op"] == "and"
        ranges: dict[str, list[Range]] = {}
        for item in tree["items"]:
            found = self._range(item)
            if found is not None:
                ranges.setdefault(item["path"]["variable"], []).append(found if is_and else found.negated())
        return not is_and if any(contradicts(each) for each in ranges.values()) else None

    def _range(self, node: Tree) -> Range | None:
        if node["op"] not in ("compare", "in") or node["path"]["steps"]:
            return None
        operands = node["items"] if node["op"] == "in" else [node["right"]]
        kind = self._kind(node)
        if kind is None or any(operand["kind"] == "variable" for operand in operands):
            return None
        keys = [_key(operand, kind) for operand in operands]
        if any(key is None for key in keys):
            return None
        operator = "in" if node["op"] == "in" else node["operator"]
        found = Range.of(operator, [key for key in keys if key is not None])
        return found.negated() if found is not None and node["negated"] else found

    def _kind(self, node: Tree) -> str | None:
        kinds = {values.meant_type(one.type) for _, one in self.model.meant(node["path"]["variable"], self.step)}
        return kinds.pop() if len(kinds) == 1 else None

    def _of_test(self, node: Tree) -> bool | None:
        """Return the truth of one test of a variable that never changes."""
        fixed = self._fixed(node["path"]["variable"])
        if fixed is None or node["path"]["steps"]:
            return None
        if node["op"] == "exists":
            return fixed.value is not None
        if fixed.value is None or not isinstance(fixed.value, str):
            return None
        if node["op"] == "truth":
            return {"true": True, "false": False}.get(fixed.value.strip().lower())
        wanted, value = self._range(node), _key_of(fixed.value, values.meant_type(fixed.type))
        if wanted is None or value is None or not wanted.is_comparable(value):
            return None
        return wanted.holds(value)

    def _fixed(self, name: str) -> Variable | None:
        """Return the variable, where its first value is its only one."""
        meant = list(self.model.meant(name, self.step))
        if len(meant) != 1:
            return None
        slot, variable = meant[0]
        is_fixed = slot not in self.written and not variable.external and not variable.optional
        return variable if is_fixed else None


def _key(operand: Tree, kind: str) -> object | None:
    """Return a literal as a value that is equal for equal values of the type; None where that is not known here."""
    literal, value = operand["kind"], operand["value"]
    if literal == "number":
        try:
            return values.decimal_of(str(value))
        except ValueError:
            return None
    if literal == "bool":
        return value if kind == "bool" else str(value).lower()
    return _key_of(value, kind) if literal == "text" else None


def _key_of(value: Value, kind: str) -> object | None:
    if not isinstance(value, str):
        return None
    if kind == "string":
        return value
    try:
        if kind in values.NUMBER_TYPES:
            return Decimal(values.decimal_of(value.strip()))
        text = values.convert(value, kind)
        if kind in values.ADDRESS_TYPES:
            return str(values.address_of(str(text), kind))
    except ValueError:
        return None
    if kind == "bool":
        return text == "true"
    return text if kind == "uri" else str(text).lower().replace("-", ":" if kind == "mac-addr" else "-")
