"""The text of a question to people, its references filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from executions.engine import substitution, templates
from executions.engine.apart import Damaged
from executions.engine.facts import Facts
from executions.engine.variables import Scopes
from playbooks.cacao.types import Question, QuestionKind, Step, Value, Variable

#: characters of one question: more is nothing that a person reads, and lists of questions hold it
LONGEST: Final = 128 * 1024

_AS_WRITTEN = Question(QuestionKind.INPUT, "")


class CannotAsk(Exception):
    """A reference in the text has no value, so nobody is asked."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def texts_of(step: Step, scopes: Scopes, facts: Facts, path: str) -> list[str]:
    """Return the text of each command of a step as people see it. Raises CannotAsk."""
    written = [replace(_AS_WRITTEN, text=command.text or "") for command in step.commands]
    return [text_of(step, question, scopes, facts, path) for question in written]


def text_of(step: Step, question: Question, scopes: Scopes, facts: Facts, path: str) -> str:
    """Return what people are shown. Raises CannotAsk (D28; S4E templates: an undefined path)."""
    try:
        text = _filled_in(step, question, scopes, facts, path)
    except Damaged as error:
        raise CannotAsk(error.reason, str(error)) from error
    if len(text) > LONGEST:
        raise CannotAsk("limit", f"The question has {len(text)} characters; people are asked at most {LONGEST}.")
    return text


def _filled_in(step: Step, question: Question, scopes: Scopes, facts: Facts, path: str) -> str:
    if question.is_literal:
        return question.text
    if scopes.workflow.dialect == "s4e":
        try:
            return str(templates.resolve(question.text, facts.template_context(path, step.id)))
        except templates.UndefinedPath as error:
            raise CannotAsk("undefined_variable", str(error)) from error

    def lookup(name: str) -> tuple[Variable, Value] | None:
        return scopes.read(name, path, step)

    try:
        parts = substitution.parts(question.text, lookup, scopes.declared(path, step))
    except substitution.UnresolvedVariable as error:
        raise CannotAsk("unresolved_variable", str(error)) from error
    return "".join(part.text for part in parts)
