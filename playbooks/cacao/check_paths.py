"""Every way in which the steps of a workflow can be visited, branch by branch.

A branch of an opener that is reached in two scopes is two branches here, as it is at run time (CACAO.md 12.1, D5), so
that what holds on every path can be told from what holds on one. Iterative throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from playbooks.cacao.flow import BODY, trace
from playbooks.cacao.types import Step, StepType, Workflow

#: Visits of steps that are looked at. Only a playbook whose branches share whole openers has many more than steps.
MAX_VISITS: Final = 40_000


@dataclass(eq=False)
class Branch:
    """One branch of one opener, or the execution itself (``opener`` None), with the steps that belong to it directly.

    ``steps`` are in an order in which each comes before all that follow it. ``inner``: the branches that each opener
    among them opens, in the opener's order.
    """

    parent: Branch | None
    opener: Step | None
    key: str
    entry: str
    steps: list[str] = field(default_factory=list)
    inner: dict[str, list[Branch]] = field(default_factory=dict)

    @cached_property
    def members(self) -> frozenset[str]:
        return frozenset(self.steps)

    def openers(self) -> Iterator[Step]:
        """Yield the openers around this branch, innermost first."""
        branch: Branch | None = self
        while branch is not None and branch.opener is not None:
            yield branch.opener
            branch = branch.parent


@dataclass(frozen=True)
class Paths:
    """``roots``: the execution and, if there is one, its exception path. ``branches``: all, outer ones first."""

    roots: tuple[Branch, ...]
    branches: tuple[Branch, ...]
    is_complete: bool


def branches_of(step: Step) -> list[tuple[str, str, tuple[str | int, ...]]]:
    """Return key, first step and place (property, key or index) of each branch that an opener opens."""
    found: list[tuple[str, str, tuple[str | int, ...]]] = [
        (str(i + 1), first, ("next_steps", i)) for i, first in enumerate(step.next_steps)
    ]
    if step.on_true is not None:
        found.append((BODY if step.type == StepType.WHILE else "true", step.on_true, ("on_true",)))
    if step.on_false is not None and step.type != StepType.WHILE:
        found.append(("false", step.on_false, ("on_false",)))
    found += [(key, first, ("cases", key)) for key, first in step.cases.items()]
    return found


def followers_of(step: Step) -> dict[str, str]:
    """Return the steps that may follow this one in its branch, each with the pointer that names it first."""
    found: dict[str, str] = {}
    for name in ("on_success", "on_completion", "on_failure"):
        target = getattr(step, name)
        if target is not None:
            found.setdefault(target, name)
    return found


def expand(workflow: Workflow) -> Paths:
    """Follow the workflow from its start and its exception step into every branch."""
    exits = _exits(workflow)
    entries = [entry for entry in (workflow.start, workflow.exception) if entry is not None]
    roots = tuple(Branch(None, None, "", entry) for entry in entries if entry in workflow.steps)
    branches: list[Branch] = list(roots)
    visits, at = 0, 0
    while at < len(branches):
        branch = branches[at]
        at += 1
        if not _leads_out(workflow, branch.entry, branch, exits):
            branch.steps = _walk(workflow, branch, exits)
        visits += len(branch.steps) + 1
        if visits + len(branches) - at > MAX_VISITS:
            return Paths(roots, tuple(branches[:at]), is_complete=False)
        for key in branch.steps:
            step = workflow.steps[key]
            if step.is_opener:
                branch.inner[key] = [Branch(branch, step, name, first) for name, first, _ in branches_of(step)]
                branches += branch.inner[key]
    return Paths(roots, tuple(branches), is_complete=True)


def _exits(workflow: Workflow) -> frozenset[str]:
    """Return the steps at which some branch ends without an end step: unwritten joins, and loops led back to."""
    joins = {step.join for step in workflow.steps.values() if step.join is not None}
    flow = trace(workflow.steps, workflow.start, workflow.exception)
    return frozenset(joins | {edge.target for edge in flow.loop_backs})


def _leads_out(workflow: Workflow, target: str, branch: Branch, exits: frozenset[str]) -> bool:
    if target not in exits:
        return target not in workflow.steps
    return any(opener.join == target or opener.id == target for opener in branch.openers())


def _walk(workflow: Workflow, branch: Branch, exits: frozenset[str]) -> list[str]:
    """Return what is reached inside a branch, in topological order; what is in inner branches is not."""
    seen = {branch.entry}
    finished: list[str] = []
    path = [(branch.entry, iter(followers_of(workflow.steps[branch.entry])))]
    while path:
        step, rest = path[-1]
        target = next(rest, None)
        if target is None:
            finished.append(step)
            path.pop()
        elif target not in seen and not _leads_out(workflow, target, branch, exits):
            seen.add(target)
            path.append((target, iter(followers_of(workflow.steps[target]))))
    return finished[::-1]
