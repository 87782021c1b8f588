"""What every check of a playbook looks at, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from playbooks.cacao.check_findings import Findings, quoted
from playbooks.cacao.check_paths import Branch, Paths, expand
from playbooks.cacao.check_uses import Uses, find_uses
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.names import Names, declared_in
from playbooks.cacao.reading import Json
from playbooks.cacao.types import AgentTarget, Catalogue, Command, Step, StepType, Variable, Workflow
from playbooks.cacao.vocabularies import PEOPLE_TYPES

#: A variable by the step that declares it ("" is the playbook) and its name.
Slot = tuple[str, str]


@dataclass(frozen=True)
class Model:
    """One playbook under check. ``document`` is what was imported, ``workflow`` what was compiled from it."""

    document: Json
    workflow: Workflow
    catalogue: Catalogue
    findings: Findings

    @cached_property
    def names(self) -> Names:
        return declared_in(self.document)

    @cached_property
    def paths(self) -> Paths:
        return expand(self.workflow)

    @cached_property
    def uses(self) -> Uses:
        return find_uses(self.workflow, self.names)

    @cached_property
    def visits(self) -> Mapping[str, tuple[Branch | None, ...]]:
        """The branches in which each step is visited; (None,) for a step that nothing leads to."""
        found: dict[str, list[Branch | None]] = {key: [] for key in self.workflow.steps}
        for branch in self.paths.branches:
            for key in branch.steps:
                found[key].append(branch)
        return {key: tuple(branches) or (None,) for key, branches in found.items()}

    @cached_property
    def _of_openers(self) -> frozenset[str]:
        return frozenset(name for step in self.workflow.steps.values() if step.is_opener for name in step.variables)

    def given(self, key: str) -> Mapping[str, Any]:
        """Return a step as the document has it."""
        workflow = self.document.get("workflow")
        step = workflow.get(key) if isinstance(workflow, Mapping) else None
        return step if isinstance(step, Mapping) else {}

    def place(self, key: str, where: tuple[str | int, ...]) -> str:
        """Return the pointer to a member of a step, or to the step where the document has that under another name."""
        at = pointer("workflow", key)
        return below(at, *where) if where[0] in self.given(key) else at

    def called(self, key: str) -> str:
        """Return what people call a step: its name, else its id."""
        return quoted(self.workflow.steps[key].name.strip() or key)

    def slot(self, name: str, step: Step, branch: Branch | None) -> Slot | None:
        """Return the variable that ``name`` means in a visit of ``step`` (D23); None where nothing declares it."""
        return (step.id, name) if name in step.variables else self.slot_outside(name, branch)

    def slot_outside(self, name: str, branch: Branch | None) -> Slot | None:
        if name in self._of_openers and branch is not None:
            for opener in branch.openers():
                if name in opener.variables:
                    return (opener.id, name)
        return ("", name) if name in self.workflow.variables else None

    def variable(self, slot: Slot) -> Variable:
        owner, name = slot
        return self.workflow.steps[owner].variables[name] if owner else self.workflow.variables[name]

    def meant(self, name: str, step: Step) -> Iterator[tuple[Slot, Variable]]:
        """Yield what ``name`` means in a step, once for each variable that it means in one of its visits."""
        if name in step.variables or name not in self._of_openers:
            slots = {self.slot(name, step, None)}
        else:
            slots = {self.slot(name, step, branch) for branch in self.visits[step.id]}
        yield from ((slot, self.variable(slot)) for slot in slots if slot is not None)

    def written(self, step: Step, branch: Branch | None) -> Iterator[Slot]:
        """Yield what a step writes when it is completed in a visit (12.10)."""
        for name in writes_of(step):
            slots = [self.slot(name, step, branch)]
            if name in step.promoted:
                slots.append(self.slot_outside(name, branch))
            yield from (slot for slot in slots if slot is not None)

    @cached_property
    def numbers(self) -> Mapping[Slot, int]:
        """A number for each variable, so that sets of them are bits of one integer."""
        found = {("", name): number for number, name in enumerate(self.workflow.variables)}
        for key, step in self.workflow.steps.items():
            for name in step.variables:
                found[(key, name)] = len(found)
        return found

    def bits(self, slots: Iterable[Slot]) -> int:
        found = 0
        for slot in slots:
            found |= 1 << self.numbers[slot]
        return found

    @cached_property
    def written_in(self) -> Mapping[Branch, int]:
        """What the steps of each branch write, those of its inner branches included, as bits."""
        return self._gathered(self.written)

    @cached_property
    def read_in(self) -> Mapping[Branch, int]:
        return self._gathered(self.read)

    def read(self, step: Step, branch: Branch | None) -> Iterator[Slot]:
        slots = (self.slot(use.name, step, branch) for use in self.uses.of_steps[step.id])
        yield from (slot for slot in slots if slot is not None)

    def anywhere(self, of: Callable[[Step, Branch | None], Iterator[Slot]]) -> set[Slot]:
        """Return what the steps read or write in any of their visits; reached or not, they count."""
        steps = self.workflow.steps.items()
        return {slot for key, step in steps for branch in self.visits[key] for slot in of(step, branch)}

    def _gathered(self, of: Callable[[Step, Branch | None], Iterator[Slot]]) -> dict[Branch, int]:
        found: dict[Branch, int] = {}
        for branch in reversed(self.paths.branches):
            bits = 0
            for key in branch.steps:
                bits |= self.bits(of(self.workflow.steps[key], branch))
                for inner in branch.inner.get(key, ()):
                    bits |= found.get(inner, 0)
            found[branch] = bits
        return found

    def agent_of(self, step: Step) -> AgentTarget | None:
        return self.workflow.agents.get(step.agent or "")

    def targets_of(self, step: Step) -> list[AgentTarget]:
        return [self.workflow.targets[target] for target in step.targets if target in self.workflow.targets]

    def definitions(self) -> tuple[tuple[str, Mapping[str, AgentTarget]], ...]:
        """Return the document's two dictionaries of agents and targets, by name."""
        return ("agent_definitions", self.workflow.agents), ("target_definitions", self.workflow.targets)

    def is_for_people(self, step: Step) -> bool:
        agent = self.agent_of(step)
        return agent is not None and agent.type in PEOPLE_TYPES

    def is_for_fin(self, step: Step) -> bool:
        """Return whether a fin carries the step out, whose commands are its own business (D2)."""
        agent, known = self.agent_of(step), self.catalogue.fin_capabilities
        return agent is not None and (
            agent.type == "soarca-fin"
            or agent.name.startswith("soarca-fin-")
            or agent.name in known
            or agent.type in known
        )

    def machine_commands(self, step: Step) -> list[tuple[int, Command]]:
        """Return the commands of a step that no person carries out, with their indexes."""
        if step.type != StepType.ACTION:
            return []
        return [(index, command) for index, command in enumerate(step.commands) if not command.for_people]


def writes_of(step: Step) -> list[str]:
    """Return the names that a completed step writes, each once."""
    return list(dict.fromkeys((*(mapping.name for mapping in step.outputs), *step.out_args)))
