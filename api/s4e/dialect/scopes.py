"""Where the two paths of a condition meet again.

S4E's conditions are gotos, CACAO's are blocks: each path runs to an end of its own, then the condition goes on. A
path is cut where the paths meet, and what follows becomes the condition's continuation. Where paths are so entangled
that a step would stand in two blocks, no path is cut: each runs to the end of its sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.s4e.dialect.document import END, StepType
from api.s4e.dialect.graph import Graph

Scope = tuple[str, str]
"""Which block a step stands in: a condition's id and ``true`` or ``false``, or ``("", sequence)``."""


@dataclass(frozen=True)
class Scopes:
    """``joins``: condition -> the step its paths meet at, or END. ``stop_of``: where the block of a step is cut.

    ``scope_of``: the block of each step. ``is_nested`` False: blocks could not be told apart, nothing is cut.
    """

    joins: Mapping[str, str]
    scope_of: dict[str, Scope]
    stop_of: dict[str, str]
    is_nested: bool


def scopes_of(graph: Graph) -> Scopes:
    joins = {
        step: meet for step, meet in _meeting_points(graph).items() if graph.steps[step].type == StepType.CONDITION
    }
    nested = _assigned(graph, joins)
    if nested is not None:
        return nested
    flat = _assigned(graph, dict.fromkeys(joins, END), may_share=True)
    assert flat is not None
    return flat


def _assigned(graph: Graph, joins: Mapping[str, str], *, may_share: bool = False) -> Scopes | None:
    """Give each step its block, walking from the first step of every sequence; None when one would have two."""
    found = Scopes(joins, {}, {}, is_nested=not may_share)
    if not _walk(graph, found, _entries(graph), may_share=may_share):
        return None
    # What no path leads to is never run: it takes no part in the question.
    _walk(graph, found, [(f"beside {step}", step) for step in _beside(graph)], may_share=True)
    return found


def _walk(graph: Graph, found: Scopes, entries: Sequence[tuple[str, str]], *, may_share: bool) -> bool:
    agenda: list[tuple[str, Scope, str]] = [(entry, ("", name), END) for name, entry in entries]
    while agenda:
        step_id, scope, stop = agenda.pop()
        if step_id in (stop, END):
            continue
        if step_id in found.scope_of:
            if found.scope_of[step_id] != scope and not may_share:
                return False
            continue
        found.scope_of[step_id], found.stop_of[step_id] = scope, stop
        step = graph.steps[step_id]
        ways = [(target, scope, stop) for _, target in graph.targets(step)]
        if step.type == StepType.CONDITION:
            join = found.joins[step_id]
            inner = stop if join == END else join
            ways = [(target, (step_id, name), inner) for name, target in graph.targets(step)]
            ways.append((join, scope, stop))
        agenda += reversed(ways)
    return True


def _entries(graph: Graph) -> list[tuple[str, str]]:
    """(name, first step) of every sequence."""
    firsts = [("main", graph.start)]
    for step in graph.steps.values():
        firsts += [(f"{step.id}.{position}", branch[0]) for position, branch in enumerate(step.branches)]
    return firsts


def _beside(graph: Graph) -> list[str]:
    """The steps that nothing leads to."""
    led_to = {target for step in graph.steps.values() for _, target in graph.targets(step)}
    firsts = {first for _, first in _entries(graph)}
    return [step_id for step_id in graph.steps if step_id not in led_to | firsts]


def _meeting_points(graph: Graph) -> dict[str, str]:
    """Return for each step the nearest step that every path from it comes through, or END.

    Nearest common post-dominators over a graph without cycles: steps are taken after all that follow them, so the
    tree above each is known; ancestors are found by jump pointers, in logarithmic time.
    """
    tree = _Tree()
    for step_id in _backwards(graph):
        targets = [target for _, target in graph.targets(graph.steps[step_id])]
        meet = targets[0]
        for target in targets[1:]:
            meet = tree.common(meet, target)
        tree.add(step_id, meet)
    return {step_id: tree.parent[step_id] for step_id in graph.steps}


def _backwards(graph: Graph) -> Sequence[str]:
    """Return the step ids so that each stands after everything it leads to."""
    done: dict[str, None] = {END: None}
    for root in graph.steps:
        stack = [root]
        while stack:
            here = stack[-1]
            if here in done:
                stack.pop()
                continue
            ahead = [target for _, target in graph.targets(graph.steps[here]) if target not in done]
            if ahead:
                stack += ahead
            else:
                done[here] = None
                stack.pop()
    return [step_id for step_id in done if step_id != END]


class _Tree:
    """A growing tree under END that finds the nearest common ancestor of two nodes."""

    def __init__(self) -> None:
        self.parent = {END: END}
        self.depth = {END: 0}
        self.jump = {END: END}

    def add(self, node: str, parent: str) -> None:
        up = self.jump[parent]
        even = self.depth[parent] - self.depth[up] == self.depth[up] - self.depth[self.jump[up]]
        self.parent[node] = parent
        self.depth[node] = self.depth[parent] + 1
        self.jump[node] = self.jump[up] if even else parent

    def common(self, one: str, other: str) -> str:
        if self.depth[one] < self.depth[other]:
            one, other = other, one
        while self.depth[one] > self.depth[other]:
            one = self.jump[one] if self.depth[self.jump[one]] >= self.depth[other] else self.parent[one]
        while one != other:
            apart = self.jump[one] != self.jump[other]
            one, other = (self.jump[one], self.jump[other]) if apart else (self.parent[one], self.parent[other])
        return one
