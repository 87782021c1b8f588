"""Templates and expressions of a playbook: whether they parse, and which parameters they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from api.s4e.dialect.faults import Faults
from executions.engine import templates
from playbooks.cacao.types import Step, Workflow

PARAMETERS = "parameters"


def check_templates(value: Any, path: str, faults: Faults) -> None:
    """Note each text below ``value`` that holds a template which does not parse."""
    for where, text in _texts(value, path):
        try:
            templates.parse_template(text)
        except templates.TemplateInvalid as error:
            faults.add(where, str(error))


def check_expression(text: str, path: str, faults: Faults) -> None:
    try:
        templates.parse_expression(text)
    except templates.TemplateInvalid as error:
        faults.add(path, str(error))


def parameter_names(workflow: Workflow) -> frozenset[str]:
    """Return the names that a run may give: inputs, keys of steps' parameters, and what templates read."""
    names = set(workflow.inputs)
    for step in workflow.steps.values():
        if step.operation is not None:
            names.update(step.operation.parameters)
        names.update(_of_parameters(_paths_of(step)))
    return frozenset(names)


def _paths_of(step: Step) -> set[tuple[str, ...]]:
    if step.operation is not None:
        return templates.paths_of(step.operation.parameters)
    if step.expression is not None:
        return templates.paths_of(templates.parse_expression(step.expression))
    return templates.paths_of(step.question.text) if step.question is not None else set()


def _of_parameters(paths: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (path[1] for path in paths if len(path) > 1 and path[0] == PARAMETERS)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a JSON value with its path; a stack of our own, so that depth costs no recursion."""
    stack = [(path, value)]
    while stack:
        where, item = stack.pop()
        if isinstance(item, str):
            yield where, item
        elif isinstance(item, Mapping):
            stack.extend((f"{where}.{name}", below) for name, below in reversed(list(item.items())))
        elif isinstance(item, list):
            stack.extend((f"{where}[{index}]", below) for index, below in reversed(list(enumerate(item))))
