"""Compiles an S4E playbook into the workflow that the engine runs.

Ids of the start and end steps made here hold a colon, which no author's step id can.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from api.s4e.dialect.document import END, OnFailure, Playbook, Step, StepType
from api.s4e.dialect.graph import Graph, graph_of
from api.s4e.dialect.scopes import Scopes, scopes_of
from playbooks.cacao import types
from playbooks.cacao.types import Operation, Question, QuestionKind, RetryPolicy, Workflow

START: Final = "start:"
#: the reason under which the engine notes that a person said no
REJECTED: Final = "rejected"
#: the reasons for which a condition cannot be evaluated
UNDECIDED: Final = frozenset({"condition_error", "undefined_variable"})


def compile_playbook(playbook: Playbook, *, references: Mapping[str, str]) -> Workflow:
    """Return the workflow of a playbook that ``read_playbook`` accepted.

    ``references``: ``action_ref`` -> the operation that carries it out. Steps stand in the author's order.
    """
    graph = graph_of(playbook.steps)
    compiler = _Compiler(playbook, graph, scopes_of(graph), references)
    steps = {step.id: compiler.step(step) for step in playbook.steps}
    start = types.Step(id=START, type=types.StepType.START, on_completion=graph.start)
    return Workflow(
        start=START,
        steps={START: start, **steps, **compiler.ends},
        dialect="s4e",
        timeout=_minutes(playbook.timeout_minutes),
        inputs=dict(playbook.inputs),
    )


def is_made(step_id: str) -> bool:
    """Whether a step of a compiled S4E workflow is one that its author did not write."""
    return ":" in step_id


class _Compiler:
    """``ends`` collects the end steps: one for the run, one for each path of a condition, one for each branch."""

    def __init__(self, playbook: Playbook, graph: Graph, scopes: Scopes, references: Mapping[str, str]) -> None:
        self.playbook = playbook
        self.graph = graph
        self.scopes = scopes
        self.references = references
        self.ends: dict[str, types.Step] = {}

    def step(self, step: Step) -> types.Step:
        ways = dict(self.graph.targets(step))
        common: dict[str, Any] = {"id": step.id, "name": step.name, "timeout": _minutes(step.timeout_minutes)}
        match step.type:
            case StepType.ACTION:
                return types.Step(**common, **self._action(step), **self._onward(step, ways["on_success"]))
            case StepType.DELAY:
                wait = timedelta(seconds=step.seconds)
                onward = self._onward(step, ways["on_success"])
                return types.Step(**common, type=types.StepType.DELAY, wait=wait, **onward)
            case StepType.CONDITION:
                # It decides at once; a time limit would bound the steps of its paths instead.
                return types.Step(**(common | self._condition(step, ways) | {"timeout": None}))
            case StepType.PARALLEL:
                return types.Step(**common, **self._parallel(step, ways["on_success"]))
            case StepType.APPROVAL:
                return types.Step(**(common | self._approval(step, ways)))

    def _action(self, step: Step) -> dict[str, Any]:
        operation = Operation(
            name=self.references[step.action_ref], reference=step.action_ref, parameters=step.parameters
        )
        retries = step.on_failure == OnFailure.RETRY
        retry = RetryPolicy(attempts=1 + self.playbook.max_retries) if retries else None
        return {"type": types.StepType.ACTION, "operation": operation, "retry": retry}

    def _condition(self, step: Step, ways: Mapping[str, str]) -> dict[str, Any]:
        """A condition that cannot be evaluated takes neither path; ``continue`` goes on where they meet."""
        join = self.scopes.joins[step.id]
        inner = self.scopes.stop_of[step.id] if join == END else join
        after = self._pointer(join, step)
        paths = {name: target for name, target in ways.items() if target not in (inner, END)}
        # CACAO wants an on_true; a missing on_false is an empty path.
        if "on_true" not in paths:
            paths["on_true"] = self._made_end((step.id, "on_true"))
        goes_on = step.on_failure == OnFailure.CONTINUE
        return {
            "type": types.StepType.IF,
            "expression": step.expression,
            **paths,
            "on_success": after,
            "on_failure": after if goes_on else None,
            "on_failure_reasons": UNDECIDED if goes_on else frozenset(),
        }

    def _parallel(self, step: Step, target: str) -> dict[str, Any]:
        """A branch that breaks fails the parallel step; its own ``continue`` takes that up."""
        after = self._pointer(target, step)
        return {
            "type": types.StepType.PARALLEL,
            "next_steps": tuple(branch[0] for branch in step.branches),
            "on_success": after,
            "on_failure": after if step.on_failure == OnFailure.CONTINUE else None,
        }

    def _approval(self, step: Step, ways: Mapping[str, str]) -> dict[str, Any]:
        """``on_rejected`` is for a rejection alone: an approval that expires is a failed step."""
        question = Question(
            kind=QuestionKind.APPROVAL,
            text=step.message or f"Approve {step.name}?",
            approvers=step.approvers,
            deadline=_minutes(step.timeout_minutes),
        )
        approved = self._pointer(ways["on_approved"], step)
        rejected = ways.get("on_rejected")
        return {
            "type": types.StepType.ACTION,
            "timeout": None,  # the question's deadline says it
            "question": question,
            "on_success": approved,
            "on_failure": None if rejected is None else self._pointer(rejected, step),
            "on_failure_reasons": frozenset() if rejected is None else frozenset({REJECTED}),
            "on_completion": approved if step.on_failure == OnFailure.CONTINUE else None,
        }

    def _onward(self, step: Step, target: str) -> dict[str, Any]:
        way = "on_completion" if step.on_failure == OnFailure.CONTINUE else "on_success"
        return {way: self._pointer(target, step)}

    def _pointer(self, target: str, step: Step) -> str:
        """The step an edge leads to: the end of its block where that is cut, else the target."""
        if target in (END, self.scopes.stop_of[step.id]):
            return self._made_end(self.scopes.scope_of[step.id])
        return target

    def _made_end(self, scope: tuple[str, str]) -> str:
        owner, name = scope
        end = f"end:{owner}:{name}" if owner else f"end:{name}"
        if end not in self.ends:
            self.ends[end] = types.Step(id=end, type=types.StepType.END)
        return end


def _minutes(minutes: int | None) -> timedelta | None:
    return None if minutes is None else timedelta(minutes=minutes)
