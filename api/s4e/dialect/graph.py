"""The flow of an S4E playbook: which step follows which, and whether that can be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.s4e.dialect.document import END, Step, StepType
from api.s4e.dialect.faults import Faults

#: the sequence that belongs to no branch
MAIN = ("", 0)
Sequence_ = tuple[str, int]
"""A list of steps that array order follows: MAIN, or a parallel's id and the position of its branch."""


@dataclass(frozen=True)
class Graph:
    """``following``: what comes after a step in its own sequence, or END. ``sequence_of``: where each step stands."""

    steps: Mapping[str, Step]
    sequence_of: Mapping[str, Sequence_]
    following: Mapping[str, str]
    start: str

    def targets(self, step: Step) -> Iterator[tuple[str, str]]:
        """Yield (field, target) for each way out of a step inside its sequence; END where the sequence ends."""
        follows = self.following[step.id]
        match step.type:
            case StepType.CONDITION:
                yield "on_true", step.on_true or follows
                yield "on_false", step.on_false or follows
            case StepType.APPROVAL:
                yield "on_approved", step.on_approved or follows
                if step.on_rejected is not None:
                    yield "on_rejected", step.on_rejected
            case _:
                yield "on_success", step.on_success or follows


def graph_of(steps: Sequence[Step]) -> Graph:
    """Return the graph of steps that passed ``check``."""
    sequence_of = {
        member: (step.id, position)
        for step in steps
        for position, branch in enumerate(step.branches)
        for member in branch
    }
    main = [step.id for step in steps if step.id not in sequence_of]
    sequences = [main, *(list(branch) for step in steps for branch in step.branches)]
    following = {
        member: after for sequence in sequences for member, after in zip(sequence, [*sequence[1:], END], strict=True)
    }
    return Graph(
        steps={step.id: step for step in steps},
        sequence_of={step.id: sequence_of.get(step.id, MAIN) for step in steps},
        following=following,
        start=main[0],
    )


def check(steps: Sequence[Step], faults: Faults) -> None:
    """Note two steps with one id, unknown targets, branches that overlap or contain themselves, and cycles."""
    before = len(faults.found)
    positions = _check_ids(steps, faults)
    _check_branches(steps, positions, faults)
    if len(faults.found) > before:
        return
    graph = graph_of(steps)
    _check_targets(graph, positions, faults)
    if len(faults.found) == before:
        _check_cycles(graph, positions, faults)


def _check_ids(steps: Sequence[Step], faults: Faults) -> dict[str, int]:
    positions: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.id in positions:
            faults.add(f"steps[{index}].id", f"The id {step.id!r} is that of steps[{positions[step.id]}] already.")
        else:
            positions[step.id] = index
    return positions


def _check_branches(steps: Sequence[Step], positions: Mapping[str, int], faults: Faults) -> None:
    owner: dict[str, str] = {}
    for index, step in enumerate(steps):
        for position, branch in enumerate(step.branches):
            for place, member in enumerate(branch):
                path = f"steps[{index}].branches[{position}][{place}]"
                if member not in positions:
                    faults.add(path, f"There is no step {member!r}.")
                elif member in owner:
                    faults.add(path, f"The step {member!r} belongs to another branch already.")
                else:
                    owner[member] = step.id
    if len(owner) == len(steps):
        faults.add("steps", "Every step is in a branch of another: there is none to begin with.")
    for step_id in owner:
        if _contains_itself(step_id, owner):
            faults.add(f"steps[{positions[step_id]}]", f"The step {step_id!r} is in a branch of its own.")
            return


def _contains_itself(step_id: str, owner: Mapping[str, str]) -> bool:
    seen: set[str] = set()
    here: str | None = step_id
    while here is not None and here not in seen:
        seen.add(here)
        here = owner.get(here)
    return here is not None


def _check_targets(graph: Graph, positions: Mapping[str, int], faults: Faults) -> None:
    for step in graph.steps.values():
        for name, target in graph.targets(step):
            path = f"steps[{positions[step.id]}].{name}"
            if target == END:
                continue
            if target not in graph.steps:
                faults.add(path, f"There is no step {target!r}.")
            elif graph.sequence_of[target] != graph.sequence_of[step.id]:
                faults.add(path, f"The step {target!r} is not in the same branch.")


def _check_cycles(graph: Graph, positions: Mapping[str, int], faults: Faults) -> None:
    """Note the first edge that leads back to a step the path has visited. Linear, without recursion."""
    done: set[str] = set()
    for root in graph.steps:
        if root in done:
            continue
        on_path = {root}
        stack = [(root, graph.targets(graph.steps[root]))]
        while stack:
            here, ways = stack[-1]
            name, target = next(ways, ("", ""))
            if not name:
                stack.pop()
                on_path.discard(here)
                done.add(here)
            elif target in on_path:
                path = f"steps[{positions[here]}].{name}"
                faults.add(path, f"Leads back to the step {target!r}: a playbook has no cycles.")
                return
            elif target != END and target not in done:
                on_path.add(target)
                stack.append((target, graph.targets(graph.steps[target])))
