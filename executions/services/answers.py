"""Answers that the fake connector gives in place of a person, checked as a person's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Outcome
from executions import payloads, phases
from executions.engine.apart import whole
from executions.engine.variables import Scopes
from executions.models import StepRun
from executions.services.claiming import Work
from playbooks.cacao.types import QuestionKind
from playbooks.cacao.values import convert


@dataclass(frozen=True)
class Answered:
    """``error`` "": the answer fits the question."""

    values: Mapping[str, Any] = field(default_factory=dict)
    verdict: bool | str | None = None
    error: str = ""


def answers_so_far(run: StepRun) -> Mapping[str, Any]:
    """Return what people gave to earlier commands of a step, large values left where they are."""
    note = payloads.unpack(run.execution_id, run.note, depth=2)
    found: Mapping[str, Any] = whole(note.get(phases.ANSWERS, {}))
    return found


def answered_by_script(work: Work, outcome: Outcome) -> Answered:
    """Read a scripted answer: values for an input, a verdict for a decision or a choice."""
    question = work.step.question
    if question is not None and question.kind in (QuestionKind.DECISION, QuestionKind.CHOICE):
        return Answered(verdict=outcome.output)
    answers = dict(outcome.answers or {})
    scopes = Scopes(work.workflow, work.facts)
    values = {}
    for name in work.step.out_args:
        found = scopes.find(name, work.run.scope_path, work.step)
        if found is None or answers.get(name) is None:
            return Answered(error=f"{name} is missing: an answer gives every variable that is asked for")
        try:
            values[name] = convert(answers.pop(name), found[0].type)
        except ValueError as error:
            return Answered(error=f"{name}: {error}")
    if answers:
        return Answered(error=f"{sorted(answers)[0]} is not asked for by this step")
    return Answered(values=values)
