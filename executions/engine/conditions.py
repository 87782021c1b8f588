"""Evaluating a parsed condition over stored values (CACAO.md 14.2, D39).

The tree is made by `playbooks.cacao.conditions`; its shape is told in `playbooks.cacao.condition_tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from executions.engine.comparing import ConditionError, Match, Operand, as_literal, holds, leaf, truth, variable
from playbooks.cacao.types import Value

__all__ = ["ConditionError", "Lookup", "evaluate"]

#: Returns a variable's type and value, None for a name that nothing has.
Lookup = Callable[[str], tuple[str, Value] | None]

#: Nodes, elements and members that one evaluation may look at (SEC-13).
MAX_STEPS: Final = 10_000
_ABSENT: Final = object()


def evaluate(ast: Mapping[str, Any], lookup: Lookup, *, match: Match) -> bool:
    """Return whether the condition holds. Left to right; what is not reached cannot be an error.

    ``match(pattern, text)`` searches a regular expression in linear time and raises ValueError where it refuses to.

    Raises ConditionError: an undefined or null variable in a comparison, a literal or operator that does not fit its
    type, a refused pattern, more than 10,000 steps.
    """
    return _Evaluation(lookup, match).of(ast)


class _Evaluation:
    def __init__(self, lookup: Lookup, match: Match) -> None:
        self._lookup = lookup
        self._match = match
        self._left = MAX_STEPS

    def of(self, node: Mapping[str, Any]) -> bool:
        self._count()
        op: str = node["op"]
        if op in ("and", "or"):
            for item in node["items"]:
                if self.of(item) is (op == "or"):
                    return op == "or"
            return op == "and"
        if op == "not":
            return not self.of(node["item"])
        if op == "exists":
            return any(value is not None for _, value in self._values(node["path"]))
        if op == "truth":
            return self._any(node["path"], truth)
        if op == "in":
            return self._is_in(node) is not bool(node["negated"])
        return self._compares(node) is not bool(node["negated"])

    def _compares(self, node: Mapping[str, Any]) -> bool:
        def test(left: Operand) -> bool:
            return holds(left, node["operator"], self._right(node["right"]), self._match)

        return self._any(node["path"], test)

    def _is_in(self, node: Mapping[str, Any]) -> bool:
        def test(left: Operand) -> bool:
            for item in node["items"]:
                self._count()
                if holds(left, "=", self._right(item), self._match):
                    return True
            return False

        return self._any(node["path"], test)

    def _any(self, path: Mapping[str, Any], test: Callable[[Operand], bool]) -> bool:
        """Return whether ``test`` holds for the path's value, or with ``[*]`` for one element at least.

        Among elements, one without a value does not hold, and one that cannot be compared is an error only where no
        other element decides: the order of elements makes no difference.
        """
        if None not in path["steps"]:
            return test(self._operand(path))
        self._check_array(path)
        trouble: ConditionError | None = None
        for type_name, value in self._values(path):
            if value is None:
                continue
            try:
                if test(self._as_operand(path, type_name, value)):
                    return True
            except ConditionError as error:
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        return False

    def _check_array(self, path: Mapping[str, Any]) -> None:
        """Raise ConditionError where the first ``[*]`` stands for no array: nothing is there that could be tested."""
        array = {**path, "steps": path["steps"][: path["steps"].index(None)]}
        if not any(isinstance(value, list) for _, value in self._values(array)):
            raise ConditionError(f"{_written(array)} is no array.")

    def _right(self, node: Mapping[str, Any]) -> Operand:
        if node["kind"] != "variable":
            return Operand(node["kind"], node["value"])
        if None in node["path"]["steps"]:
            raise ConditionError("[*] stands on the left of a comparison only.")
        return as_literal(self._operand(node["path"]))

    def _operand(self, path: Mapping[str, Any]) -> Operand:
        for type_name, value in self._values(path):
            return self._as_operand(path, type_name, value)
        raise ConditionError(f"{_written(path)} is not defined.")

    def _as_operand(self, path: Mapping[str, Any], type_name: str, value: Any) -> Operand:
        try:
            return leaf(value) if path["steps"] else variable(value, type_name)
        except ConditionError as error:
            raise ConditionError(f"{_written(path)} cannot be compared. {error}") from None

    def _values(self, path: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield what the path leads to, with the variable's type: nothing, one value, or any number with ``[*]``."""
        found = self._lookup(path["variable"])
        if found is None:
            return
        type_name, value = found
        yield from ((type_name, end) for end in self._follow(value, path["steps"], 0))

    def _follow(self, value: Any, steps: list[str | int | None], at: int) -> Iterator[Any]:
        while at < len(steps):
            self._count()
            step = steps[at]
            at += 1
            if step is None:
                for element in value if isinstance(value, list) else ():
                    self._count()
                    yield from self._follow(element, steps, at)
                return
            value = _member(value, step)
            if value is _ABSENT:
                return
        yield value

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ConditionError(f"The condition needs more than {MAX_STEPS} steps.")


def _member(value: Any, step: str | int) -> Any:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return value[step]
    return _ABSENT


def _written(path: Mapping[str, Any]) -> str:
    steps = ("[*]" if step is None else f"[{step}]" if isinstance(step, int) else f".{step}" for step in path["steps"])
    return f"{path['variable']}:value{''.join(steps)}"
