"""The graph of a workflow: what leads where, in which branch, and where it comes back.

Everything here is iterative and takes time in proportion to the edges, so that no document can hang an import.
Source: CACAO.md 12.1 (D5), 12.2, 12.4 (D11), 12.6 (loop-back), 13.2 (``cycle-without-while``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from playbooks.cacao.types import Step, StepType

#: Two scopes are as good as many: nothing asks for more than whether there is a second one.
_ENOUGH = 2
#: Sets of enclosing variables that are told apart for one step; more come only from steps shared by as many branches.
_CONTEXTS = 8

BODY = "body"


@dataclass(frozen=True)
class Edge:
    """A pointer of ``source``. ``where``: its property, with the key or index; ``branch``: the branch it opens."""

    source: str
    target: str
    where: tuple[str | int, ...]
    branch: str | None = None


@dataclass(frozen=True)
class Scope:
    """A branch by its innermost opener; ROOT is the execution itself, and the exception path."""

    opener: str = ""
    branch: str = ""


ROOT = Scope()


@dataclass(frozen=True, eq=False)
class Enclosing:
    """The openers around a branch that declare variables, innermost first, as a chain; equal means identical."""

    opener: str
    outer: Enclosing | None

    def __iter__(self) -> Iterator[str]:
        current: Enclosing | None = self
        while current is not None:
            yield current.opener
            current = current.outer


@dataclass(frozen=True)
class Flow:
    """What the graph of a workflow says. When there are ``cycles``, the rest but ``edges`` and ``reached`` is empty."""

    edges: Mapping[str, tuple[Edge, ...]]
    reached: frozenset[str]
    cycles: tuple[Edge, ...] = ()
    #: edges from the body of a loop back to the loop
    loop_backs: frozenset[Edge] = frozenset()
    #: every step before all that it leads to; loop-backs left out
    order: tuple[str, ...] = ()
    #: steps that are reached in two scopes or more
    shared: frozenset[str] = frozenset()
    #: openers with variables around each step, one entry for each way in which the step is enclosed
    enclosing: Mapping[str, tuple[Enclosing | None, ...]] = field(default_factory=dict)


def continuation(step: Step) -> str | None:
    """Return what follows an opener or action that went well."""
    return step.on_success or step.on_completion


def edges_of(step: Step) -> tuple[Edge, ...]:
    """Return where a step leads: its branches first, in their order, then its own pointers."""
    found = [Edge(step.id, first, ("next_steps", i), str(i + 1)) for i, first in enumerate(step.next_steps)]
    if step.on_true is not None:
        branch = BODY if step.type == StepType.WHILE else "true"
        found.append(Edge(step.id, step.on_true, ("on_true",), branch))
    if step.on_false is not None:
        found.append(Edge(step.id, step.on_false, ("on_false",), "false"))
    found += [Edge(step.id, first, ("cases", key), key) for key, first in step.cases.items()]
    for name in ("on_completion", "on_success", "on_failure"):
        target = getattr(step, name)
        if target is not None:
            found.append(Edge(step.id, target, (name,)))
    return tuple(found)


def trace(steps: Mapping[str, Step], start: str | None, exception: str | None) -> Flow:
    """Return the flow of a workflow whose pointers all name steps. ``start`` None: where it starts is unknown."""
    edges = {key: tuple(edge for edge in edges_of(step) if edge.target in steps) for key, step in steps.items()}
    roots = [root for root in (start, exception) if root is not None and root in steps]
    reached = _reached(edges, roots)
    order, backward = _walk(edges, [*roots, *steps])
    loops = frozenset(edge for edge in backward if _may_be_loop_back(edge, steps))
    cycles = [edge for edge in backward if edge not in loops]
    if not cycles:
        scopes = _scopes(edges, order, loops, roots, only=None)
        cycles = [edge for edge in backward if edge in loops and not _is_in_body(edge, steps, scopes)]
    if cycles:
        return Flow(edges, reached, cycles=tuple(cycles))
    return Flow(
        edges,
        reached,
        loop_backs=loops,
        order=order,
        shared=_shared(order, _scopes(edges, order, loops, roots, only=reached)),
        enclosing=_enclosing(steps, edges, order, loops, roots),
    )


def _reached(edges: Mapping[str, tuple[Edge, ...]], roots: Iterable[str]) -> frozenset[str]:
    found = set(roots)
    pending = list(found)
    while pending:
        for edge in edges[pending.pop()]:
            if edge.target not in found:
                found.add(edge.target)
                pending.append(edge.target)
    return frozenset(found)


def _walk(edges: Mapping[str, tuple[Edge, ...]], roots: Iterable[str]) -> tuple[tuple[str, ...], list[Edge]]:
    """Walk in depth from each root. Return the steps in topological order, and the edges that lead back."""
    backward: list[Edge] = []
    finished: list[str] = []
    is_open: dict[str, bool] = {}
    for root in roots:
        if root in is_open:
            continue
        is_open[root] = True
        path = [(root, iter(edges[root]))]
        while path:
            step, rest = path[-1]
            edge = next(rest, None)
            if edge is None:
                is_open[step] = False
                finished.append(step)
                path.pop()
            elif edge.target not in is_open:
                is_open[edge.target] = True
                path.append((edge.target, iter(edges[edge.target])))
            elif is_open[edge.target]:
                backward.append(edge)
    return tuple(reversed(finished)), backward


def _scopes(
    edges: Mapping[str, tuple[Edge, ...]],
    order: Iterable[str],
    loops: frozenset[Edge],
    roots: Iterable[str],
    *,
    only: frozenset[str] | None,
) -> dict[str, tuple[Scope, ...]]:
    """Return for each step the innermost scopes in which it is reached, two at most.

    ``only``: count what is reached from these steps. A step that nothing leads to counts as a root otherwise.
    """
    found: dict[str, tuple[Scope, ...]] = dict.fromkeys(roots, (ROOT,))
    for step in order:
        if only is not None and step not in only:
            continue
        own = found.setdefault(step, (ROOT,))
        for edge in edges[step]:
            if edge in loops:
                continue
            before = found.get(edge.target, ())
            if len(before) < _ENOUGH:
                entered = own if edge.branch is None else (Scope(step, edge.branch),)
                found[edge.target] = tuple(dict.fromkeys((*before, *entered)))[:_ENOUGH]
    return found


def _shared(order: Iterable[str], scopes: Mapping[str, tuple[Scope, ...]]) -> frozenset[str]:
    """Return the steps in two scopes: of two openers or branches, or inside an opener that is itself in two."""
    found: set[str] = set()
    for step in order:
        around = scopes.get(step, ())
        if len(around) > 1 or (around and around[0].opener in found):
            found.add(step)
    return frozenset(found)


def _may_be_loop_back(edge: Edge, steps: Mapping[str, Step]) -> bool:
    if steps[edge.target].type != StepType.WHILE or edge.source == edge.target:
        return False
    return edge.branch is None or continuation(steps[edge.source]) is None


def _is_in_body(edge: Edge, steps: Mapping[str, Step], scopes: Mapping[str, tuple[Scope, ...]]) -> bool:
    """Return whether an edge to a loop comes from its body and from nowhere else, so that it can only end a visit.

    From a branch inside the body it does so where nothing follows that branch's opener.
    """
    step = edge.source
    for _ in steps:
        around = scopes[step]
        if len(around) != 1 or around[0] == ROOT:
            return False
        opener = around[0].opener
        if opener == edge.target:
            return True
        if continuation(steps[opener]) is not None:
            return False
        step = opener
    return False


def _enclosing(
    steps: Mapping[str, Step],
    edges: Mapping[str, tuple[Edge, ...]],
    order: Iterable[str],
    loops: frozenset[Edge],
    roots: Iterable[str],
) -> dict[str, tuple[Enclosing | None, ...]]:
    found: dict[str, tuple[Enclosing | None, ...]] = dict.fromkeys(roots, (None,))
    for step in order:
        own = found.setdefault(step, (None,))
        inside = own
        if steps[step].variables and steps[step].is_opener:
            inside = tuple(Enclosing(step, outer) for outer in own)
        for edge in edges[step]:
            if edge not in loops:
                entered = own if edge.branch is None else inside
                before = found.get(edge.target, ())
                if before != entered:
                    found[edge.target] = tuple(dict.fromkeys((*before, *entered)))[:_CONTEXTS]
    return found
