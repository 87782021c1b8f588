"""What an if, a switch or a loop decides (CACAO.md 12.6, 12.7, 14)."""

from __future__ import annotations

from collections.abc import Callable

from executions.engine import conditions, templates
from executions.engine.apart import Damaged
from executions.engine.facts import Facts
from executions.engine.variables import Scopes
from playbooks.cacao.types import QuestionKind, Step, StepType, Value

DEFAULT_CASE = "default"


class CannotDecide(Exception):
    """The condition or switch cannot be evaluated; it is never taken as false (D7)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def needs_a_person(step: Step) -> bool:
    """True where only a person can tell: prose instead of a condition, a switch without a variable (D18)."""
    return step.question is not None and step.question.kind in (QuestionKind.DECISION, QuestionKind.CHOICE)


def evaluate(
    step: Step,
    scopes: Scopes,
    facts: Facts,
    path: str,
    frame: dict[str, Value],
    match: Callable[[str, str], bool],
) -> bool | str | None:
    """Return the verdict: True or False, or the key of a case (None: no case fits).

    Raises CannotDecide.
    """
    try:
        return _evaluated(step, scopes, facts, path, frame, match)
    except Damaged as error:
        raise CannotDecide(error.reason, str(error)) from error


def _evaluated(
    step: Step,
    scopes: Scopes,
    facts: Facts,
    path: str,
    frame: dict[str, Value],
    match: Callable[[str, str], bool],
) -> bool | str | None:
    if step.type == StepType.SWITCH:
        return _case(step, scopes, path, frame)
    if step.expression is not None:
        return _expression(step, facts, path)

    def lookup(name: str) -> tuple[str, Value] | None:
        found = scopes.read(name, path, step, frame)
        return (found[0].type, found[1]) if found else None

    assert step.condition is not None
    try:
        return conditions.evaluate(step.condition, lookup, match=match)
    except conditions.ConditionError as error:
        raise CannotDecide("condition_error", str(error)) from error


def _expression(step: Step, facts: Facts, path: str) -> bool:
    assert step.expression is not None
    try:
        expression = templates.parse_expression(step.expression)
        return templates.evaluate(expression, facts.template_context(path, step.id))
    except templates.UndefinedPath as error:
        raise CannotDecide("undefined_variable", str(error)) from error
    except (templates.TemplateInvalid, TypeError) as error:
        raise CannotDecide("condition_error", str(error)) from error


def _case(step: Step, scopes: Scopes, path: str, frame: dict[str, Value]) -> str | None:
    assert step.switch is not None
    found = scopes.read(step.switch, path, step, frame)
    value = found[1] if found else None
    if isinstance(value, dict | list):
        raise CannotDecide("condition_error", f"{step.switch} holds an object, which cannot be switched on")
    if value is not None and value in step.cases:
        return value
    if DEFAULT_CASE in step.cases:
        return DEFAULT_CASE
    if value is None:
        raise CannotDecide("condition_error", f"{step.switch} has no value, and the switch has no default")
    return None


def branch_of(step: Step, verdict: bool | str | None) -> tuple[str | None, str]:
    """Return the first step of the branch that the verdict names (None: no branch) and the branch's key."""
    if step.type == StepType.SWITCH:
        key = verdict if isinstance(verdict, str) else ""
        return step.cases.get(key), key
    if verdict is True:
        return step.on_true, "true"
    return (step.on_false if step.type == StepType.IF else None), "false"
