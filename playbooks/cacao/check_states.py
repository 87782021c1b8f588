"""What may be so when a step is visited: variables without a value, and that no person was asked yet.

One walk over every path. A state is a set of bits: those of the variables that may have no value, and NOBODY_ASKED.
A step's bits go in, what is left of them goes along each of its pointers; where paths meet, either may be the case.

Source: CACAO.md 9 (D23), 12.1 to 12.10.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from playbooks.cacao.check_model import Model, Slot
from playbooks.cacao.check_paths import Branch
from playbooks.cacao.check_uses import Use, Where
from playbooks.cacao.people import DEFAULT_CASE
from playbooks.cacao.types import Step, StepType

NOBODY_ASKED: Final = 1

Walk = Generator[tuple[Branch, int], int | None, int | None]


@dataclass
class States:
    """What the walk found. ``unset``: where a variable may have no value, by (step, use); True: only where a step
    failed before and the flow went on by ``on_completion``. ``unasked``: steps that may come before anybody is asked.
    """

    unset: dict[tuple[str, Use], bool] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)


def find_states(model: Model) -> States:
    """Walk every path, without and with those on which a failure is passed over. Nothing where they are too many."""
    sure, all_paths = States(), States()
    if not model.paths.is_complete:
        return all_paths
    for states, follows_failure in ((sure, False), (all_paths, True)):
        walker = _Walker(model, states, follows_failure=follows_failure)
        for root in model.paths.roots:
            walker.run(root)
    unset = {place: place not in sure.unset for place in (*sure.unset, *all_paths.unset)}
    return States(unset, all_paths.unasked)


class _Walker:
    def __init__(self, model: Model, states: States, *, follows_failure: bool) -> None:
        self.model = model
        self.states = states
        self.follows_failure = follows_failure
        steps = model.workflow.steps
        # Bit 0 is NOBODY_ASKED, so each variable's bit is one further up.
        self.empty: Mapping[Slot, int] = {
            slot: 2 << number for slot, number in model.numbers.items() if _may_be_empty(model, slot)
        }
        self.of_step = {
            key: sum(self.empty.get((key, name), 0) for name in step.variables) for key, step in steps.items()
        }

    def run(self, root: Branch) -> None:
        state = NOBODY_ASKED + sum(bit for (owner, _), bit in self.empty.items() if not owner)
        # The stack of branches that are being walked, innermost last: playbooks may nest deeper than Python calls.
        stack: list[Walk] = [self._branch(root, state)]
        answer: int | None = None
        while stack:
            try:
                inner, state = stack[-1].send(answer)
            except StopIteration as end:
                stack.pop()
                answer = end.value
            else:
                stack.append(self._branch(inner, state))
                answer = None

    def _branch(self, branch: Branch, state: int) -> Walk:
        """Walk one branch; return what may be so at its end, None where it never gets there."""
        if not branch.steps:
            return state
        pending = {branch.steps[0]: state}
        end: int | None = None
        for key in branch.steps:
            if key not in pending:
                continue
            step = self.model.workflow.steps[key]
            before = pending.pop(key)
            if step.is_opener:
                done, failed, passed = yield from self._opener(step, branch, before)
            else:
                done, failed, passed = self._visit(step, branch, before)
            for target, after in self._edges(step, done, failed, passed):
                if target is not None and target in branch.members:
                    pending[target] = pending.get(target, 0) | after
                else:
                    end = after if end is None else end | after
        return end

    def _edges(self, step: Step, done: int | None, failed: int, passed: int) -> list[tuple[str | None, int]]:
        found: list[tuple[str | None, int]] = []
        if done is not None and step.type != StepType.END:
            found.append((step.on_success or step.on_completion, done))
        elif done is not None:
            found.append((None, done))
        if step.type in (StepType.START, StepType.END):
            return found
        if step.on_failure is not None:
            found.append((step.on_failure, failed))
        elif step.on_completion is not None and not step.is_opener and self.follows_failure:
            found.append((step.on_completion, passed))
        return found

    def _visit(self, step: Step, branch: Branch, state: int) -> tuple[int, int, int]:
        """Return what may be so after success, on the failure path, and where on_completion passes a failure over."""
        state |= self.of_step[step.id]
        if state & NOBODY_ASKED:
            self.states.unasked.add(step.id)
        for use in self.model.uses.of_steps[step.id]:
            if use.where is not Where.ARGUMENT:
                state = self._read(use, step, branch, state)
        state &= ~self.of_step[step.id]
        done = state
        for slot in self.model.written(step, branch):
            done &= ~self.empty.get(slot, 0)
        if not self._asks(step):
            return done, state, state
        # A person who was asked stands before all that follows but for the path that is taken when they said no.
        return done & ~NOBODY_ASKED, state, state & ~NOBODY_ASKED

    def _asks(self, step: Step) -> bool:
        return step.question is not None or any(command.for_people for command in step.commands)

    def _opener(
        self, step: Step, branch: Branch, state: int
    ) -> Generator[tuple[Branch, int], int | None, tuple[int | None, int, int]]:
        state |= self.of_step[step.id]
        if step.question is not None:
            state &= ~NOBODY_ASKED
        for use in self.model.uses.of_steps[step.id]:
            if _fails_without(use, step):
                state = self._read(use, step, branch, state)
        ends: list[int | None] = []
        for inner in branch.inner.get(step.id, ()):
            ends.append((yield inner, state & ~self._tested(step, branch, inner.key)))
        done = _after(step, state, ends)
        own = ~self.of_step[step.id]
        return (None if done is None else done & own), state & own, state & own

    def _tested(self, step: Step, branch: Branch, key: str) -> int:
        """Return the variables that have a value in a branch because the condition found one."""
        if step.condition is None:
            return 0
        names = _existing(step.condition, holds=key != "false")
        slots = (self.model.slot(name, step, branch) for name in names)
        bits = 0
        for slot in slots:
            bits |= self.empty.get(slot, 0) if slot is not None else 0
        return bits

    def _read(self, use: Use, step: Step, branch: Branch, state: int) -> int:
        slot = self.model.slot(use.name, step, branch)
        bit = self.empty.get(slot, 0) if slot is not None else 0
        if not state & bit:
            return state
        self.states.unset[(step.id, use)] = False
        return state & ~bit  # said once on each path


def _may_be_empty(model: Model, slot: Slot) -> bool:
    """Return whether a variable may be without a value at first. A start gives the external ones (D24)."""
    variable = model.variable(slot)
    return variable.value is None and not variable.external and not variable.optional


def _fails_without(use: Use, step: Step) -> bool:
    """Return whether an opener fails where this variable has no value (D17, D39)."""
    if use.where is Where.SWITCH:
        return DEFAULT_CASE not in step.cases
    return step.condition is not None and use.name not in _existing_anywhere(step.condition)


def _after(step: Step, state: int, ends: list[int | None]) -> int | None:
    """Return what may be so when the branches of an opener have ended."""
    if step.type == StepType.PARALLEL:
        found = state
        for end in ends:
            if end is None:
                return None
            found &= end
        return found
    reached = [end for end in ends if end is not None]
    if step.type == StepType.WHILE:
        return state
    if (step.type == StepType.IF and step.on_false is None) or (
        step.type == StepType.SWITCH and DEFAULT_CASE not in step.cases
    ):
        reached.append(state)
    if not reached:
        return None
    found = 0
    for end in reached:
        found |= end
    return found


def _existing(tree: Mapping[str, Any], *, holds: bool) -> set[str]:
    """Return the variables that have a value where a condition holds, or where it does not."""
    found: set[str] = set()
    pending = [(tree, holds)]
    while pending:
        node, wanted = pending.pop()
        op = node["op"]
        if op == "not":
            pending.append((node["item"], not wanted))
        elif op in ("and", "or"):
            # All of an AND that holds, all of an OR that does not; else only the first is sure to be looked at.
            is_all = (op == "and") is wanted
            pending += [(item, wanted) for item in node["items"]] if is_all else []
            if not is_all and node["items"][0]["op"] in ("compare", "in", "truth"):
                found.add(node["items"][0]["path"]["variable"])
        elif op != "exists" or wanted:
            found.add(node["path"]["variable"])
    return found


def _existing_anywhere(tree: Mapping[str, Any]) -> set[str]:
    """Return the variables that a condition tests with EXISTS: it knows that they may have no value."""
    found: set[str] = set()
    pending = [tree]
    while pending:
        node = pending.pop()
        if node["op"] == "exists":
            found.add(node["path"]["variable"])
        pending += [item for item in (*node.get("items", ()), node.get("item")) if item and "op" in item]
    return found
