"""What a start gives to a playbook's variables (CACAO.md D24)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executions.engine.variables import first_values
from playbooks.cacao.types import Value, Workflow
from playbooks.cacao.values import convert


class VariablesRefused(Exception):
    """``code`` is a word of D24, ``name`` the variable."""

    def __init__(self, code: str, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


def values_at_start(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Value]:
    """Return the playbook's variables as they are when it starts. Raises VariablesRefused."""
    values = first_values(workflow.variables)
    for name, value in given.items():
        declared = workflow.variables.get(name)
        if declared is None:
            raise VariablesRefused("variable_unknown", name, f"the playbook has no variable {name}")
        if not declared.external:
            raise VariablesRefused("variable_not_external", name, f"{name} is not external, so a start cannot give it")
        try:
            values[name] = None if value is None else convert(value, declared.type)
        except ValueError as error:
            raise VariablesRefused("variable_type_invalid", name, f"{name}: {error}") from error
    for name, declared in workflow.variables.items():
        if declared.external and not declared.optional and values[name] is None:
            raise VariablesRefused("external_variable_missing", name, f"{name} is external and needs a value")
    return values
