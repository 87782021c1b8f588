"""A CACAO workflow in the shape of S4E steps, for showing. What S4E has no word for keeps running as it is.

Ids are the CACAO step ids; a step's delay becomes a delay step before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from api.s4e.dialect.document import END
from playbooks.cacao.types import QuestionKind, Step, StepType, Variable, Workflow

_PAST_END = (StepType.START, StepType.END)

#: CACAO's type -> the word it is shown under, where S4E has none; none of these can be created by POST
UNSAYABLE: Final[Mapping[StepType, str]] = {
    StepType.WHILE: "loop",
    StepType.SWITCH: "switch",
    StepType.PLAYBOOK_ACTION: "playbook",
}
COMMAND: Final = "command"

_INPUT_TYPES: Final = {"bool": "Boolean", "integer": "Number", "long": "Number", "float": "Number"}


@dataclass(frozen=True)
class Shape:
    """``steps`` in the order of the document; ``warnings`` name step and reason, one text each."""

    steps: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...] = field(default_factory=tuple)


def shape_of(workflow: Workflow, document: Mapping[str, Any]) -> Shape:
    """Return the steps of a CACAO playbook as S4E shows them; ``document`` is the one it was compiled from."""
    texts = document.get("workflow")
    shaper = _Shaper(workflow, texts if isinstance(texts, Mapping) else {})
    return Shape(tuple(shaper.steps()), tuple(shaper.warnings))


def type_of(step: Step) -> str:
    """Return the word that S4E shows for a step."""
    match step.type:
        case StepType.IF:
            return "condition"
        case StepType.PARALLEL:
            return "parallel"
        case StepType.DELAY:
            return "delay"
        case StepType.ACTION if step.operation is not None:
            return "action"
        case StepType.ACTION if is_asked(step):
            return "approval"
    return UNSAYABLE.get(step.type, COMMAND)


def is_asked(step: Step) -> bool:
    """Whether the step is a question to people, so that it shows as an approval."""
    return step.question is not None and step.question.kind in (QuestionKind.APPROVAL, QuestionKind.INPUT)


def delay_id(step_id: str) -> str:
    """The id of the delay step that stands for a step's own delay."""
    _, separator, unique = step_id.rpartition("--")
    return f"delay--{unique}" if separator else f"delay--{step_id}"


def inputs_of(workflow: Workflow) -> dict[str, dict[str, Any]]:
    """Return the external variables of a CACAO playbook as S4E inputs, under their CACAO names."""
    return {
        name: _input(variable)
        for name, variable in workflow.variables.items()
        if variable.external and not variable.optional
    }


def _input(variable: Variable) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": _INPUT_TYPES.get(variable.type, "String"),
        "required": variable.value is None,
        "description": variable.description,
    }
    return shown if variable.value is None else {**shown, "default": variable.value}


class _Shaper:
    def __init__(self, workflow: Workflow, texts: Mapping[str, Any]) -> None:
        self.workflow = workflow
        self.texts = texts
        self.warnings: list[str] = []

    def steps(self) -> Iterator[dict[str, Any]]:
        for step in self.workflow.steps.values():
            if step.delay:
                yield self._delay(step)
            if step.type not in _PAST_END:
                yield self._step(step)

    def _delay(self, step: Step) -> dict[str, Any]:
        after = step.on_completion or step.on_success if step.type == StepType.START else step.id
        seconds, rest = divmod(step.delay, timedelta(seconds=1))
        if rest:
            self._warn(step, f"its delay of {step.delay.total_seconds()} s is shown in whole seconds")
        return {
            "id": delay_id(step.id),
            "name": f"Delay before {step.name or step.id}",
            "type": "delay",
            "duration_seconds": seconds,
            "on_success": END if step.type == StepType.END else after,
        }

    def _step(self, step: Step) -> dict[str, Any]:
        type_ = type_of(step)
        shown: dict[str, Any] = {"id": step.id, "name": step.name or step.id, "type": type_}
        match type_:
            case "action":
                assert step.operation is not None
                shown |= {
                    "action_ref": step.operation.reference, "parameters": dict(step.operation.parameters),
                    "on_success": self._next(step),
                }  # fmt: skip
            case "approval":
                shown |= self._approval(step)
            case "condition":
                shown |= self._condition(step)
            case "parallel":
                shown |= {
                    "branches": [self._branch(first) for first in step.next_steps],
                    "on_success": self._next(step),
                }
            case _:
                shown |= self._foreign(step, type_)
        if step.on_failure and type_ != "approval":
            shown["on_failure_step"] = self._target(step.on_failure)
        elif step.on_completion and not step.is_opener:
            shown["on_failure"] = "continue"
        minutes = step.timeout and -(-step.timeout // timedelta(minutes=1))
        return {**shown, "timeout_minutes": minutes} if minutes else shown

    def _approval(self, step: Step) -> dict[str, Any]:
        assert step.question is not None
        shown: dict[str, Any] = {"message": step.question.text, "on_approved": self._next(step)}
        rejected = step.on_failure or step.on_completion
        if rejected:
            shown["on_rejected"] = self._target(rejected)
        if step.question.approvers:
            shown["approvers"] = list(step.question.approvers)
        return shown

    def _condition(self, step: Step) -> dict[str, Any]:
        if step.question is not None:
            self._warn(step, "no machine can evaluate its condition: a person is asked")
        shown = {"expression": self._text(step, "condition")}
        ways = {"on_true": step.on_true, "on_false": step.on_false}
        shown |= {name: self._target(target) for name, target in ways.items() if target}
        return {**shown, "on_success": self._next(step)}

    def _foreign(self, step: Step, type_: str) -> dict[str, Any]:
        self._warn(step, f"S4E has no word for the type {step.type}; it is kept, runs, and is shown as type {type_!r}")
        shown: dict[str, Any] = {"on_success": self._next(step)}
        match type_:
            case "loop":
                shown |= {"condition": self._text(step, "condition"), "on_true": self._target(step.on_true or "")}
            case "switch":
                cases = {value: self._target(target) for value, target in step.cases.items()}
                shown |= {"switch": self._text(step, "switch"), "cases": cases}
            case "playbook":
                shown |= {"playbook_id": step.playbook_id}
            case _:
                shown |= {"command_types": [command.type for command in step.commands]}
        return shown

    def _branch(self, first: str) -> list[str]:
        """The steps of one branch in the order of the document, without what nested openers run."""
        found: set[str] = set()
        agenda: list[str | None] = [first]
        while agenda:
            step = self.workflow.steps.get(agenda.pop() or "")
            if step is None or step.id in found or step.type in _PAST_END:
                continue
            found.add(step.id)
            agenda += [step.on_completion, step.on_success, step.on_failure]
            if step.type == StepType.IF:
                agenda += [step.on_true, step.on_false]
        return [step_id for step_id in self.workflow.steps if step_id in found]

    def _next(self, step: Step) -> str:
        return self._target(step.on_success or step.on_completion or "")

    def _target(self, step_id: str) -> str:
        step = self.workflow.steps.get(step_id)
        if step is None:
            return END
        if step.delay:
            return delay_id(step_id)
        return END if step.type == StepType.END else step_id

    def _text(self, step: Step, name: str) -> str:
        written = self.texts.get(step.id)
        value = written.get(name) if isinstance(written, Mapping) else None
        return value if isinstance(value, str) else step.expression or step.switch or ""

    def _warn(self, step: Step, reason: str) -> None:
        named = f"{step.id} ({step.name})" if step.name else step.id
        self.warnings.append(f"{named}: {reason}.")
