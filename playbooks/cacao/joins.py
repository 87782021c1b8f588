"""Joins that a parallel step does not write down.

Source: CACAO.md 12.5, D14.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from playbooks.cacao.flow import Flow, continuation
from playbooks.cacao.people import DEFAULT_CASE
from playbooks.cacao.types import Step, StepType

#: where every path ends; no step has this id, for a document's keys are never put here
_EXIT = 0


def find_joins(steps: Mapping[str, Step], flow: Flow) -> dict[str, str]:
    """Return parallel step -> the step in which all of its branches meet, for those without a continuation.

    A step lies on every path to the end when it is an ancestor in the tree of immediate postdominators; the nearest
    one of all branches is their lowest common ancestor there.
    """
    candidates = [step for step in steps.values() if step.type == StepType.PARALLEL and continuation(step) is None]
    if not any(len(step.next_steps) > 1 for step in candidates):
        return {}
    tree = _Tree(steps, flow)
    found: dict[str, str] = {}
    for step in candidates:
        if len(step.next_steps) > 1:
            join = tree.lowest_common(step.next_steps)
            if join is not None and steps[join].type != StepType.END:
                found[step.id] = join
    return found


class _Tree:
    """The postdominator tree. A node's jump leads far up, so that a common ancestor is found in logarithmic time."""

    def __init__(self, steps: Mapping[str, Step], flow: Flow) -> None:
        self._ids = list(flow.order)
        self._number = {step: number for number, step in enumerate(self._ids, start=1)}
        count = len(self._ids) + 1
        self._parent = [_EXIT] * count
        self._jump = [_EXIT] * count
        self._depth = [0] * count
        loops = {(edge.source, edge.target) for edge in flow.loop_backs}
        for step in reversed(self._ids):
            following = [self._number[target] for target in _targets(steps[step], loops) if target is not None]
            ends = any(target is None for target in _targets(steps[step], loops)) or not following
            self._hang(self._number[step], _EXIT if ends else self._common(following))

    def lowest_common(self, steps: Sequence[str]) -> str | None:
        common = self._common([self._number[step] for step in steps])
        return None if common == _EXIT else self._ids[common - 1]

    def _hang(self, node: int, parent: int) -> None:
        self._parent[node] = parent
        self._depth[node] = self._depth[parent] + 1
        jump = self._jump[parent]
        is_even = self._depth[parent] - self._depth[jump] == self._depth[jump] - self._depth[self._jump[jump]]
        self._jump[node] = self._jump[jump] if is_even else parent

    def _common(self, nodes: Iterable[int]) -> int:
        rest = iter(nodes)
        common = next(rest)
        for node in rest:
            common = self._pair(common, node)
        return common

    def _pair(self, a: int, b: int) -> int:
        depth, parent, jump = self._depth, self._parent, self._jump
        if depth[a] < depth[b]:
            a, b = b, a
        while depth[a] > depth[b]:
            a = jump[a] if depth[jump[a]] >= depth[b] else parent[a]
        while a != b:
            if jump[a] != jump[b]:
                a, b = jump[a], jump[b]
            else:
                a, b = parent[a], parent[b]
        return a


def _targets(step: Step, loops: set[tuple[str, str]]) -> list[str | None]:
    """Return what a path goes on to after ``step``; None is the end of the branch."""
    pointers: list[str | None] = [
        target for target in (step.on_success, step.on_completion, step.on_failure) if target is not None
    ]
    if continuation(step) is None:
        pointers += _branches(step) if step.is_opener else [None]
    return [None if target is not None and (step.id, target) in loops else target for target in pointers]


def _branches(step: Step) -> list[str | None]:
    """Return the branches of an opener that nothing follows: they are its paths."""
    if step.type == StepType.WHILE:
        return [None]
    if step.type == StepType.IF:
        return [step.on_true, step.on_false]
    if step.type == StepType.SWITCH:
        return [*step.cases.values(), *([] if DEFAULT_CASE in step.cases else [None])]
    return [*step.next_steps] or [None]
