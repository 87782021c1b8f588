"""What a start gives, in whichever dialect the playbook is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import Conflict, FieldError, Invalid
from executions.services import StartRefused
from playbooks.inputs import start_values
from playbooks.models import Playbook, PlaybookVersion
from playbooks.selectors import workflow_of

#: refusals that the state of the playbook makes, not the caller's input
_STATE = frozenset({"playbook_revoked", "playbook_not_yet_valid", "playbook_expired"})


class PlaybookDisabled(Conflict):
    code = "playbook_disabled"


class NotStartable(Conflict):
    """``code`` says why: revoked, not yet valid, expired."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_enabled(playbook: Playbook) -> None:
    if not playbook.is_enabled:
        raise PlaybookDisabled("The playbook is disabled. Enable it, then start it.")


def inputs_of(
    version: PlaybookVersion, *, variables: Mapping[str, Any] | None, parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what the execution stores of its start. Raises Invalid naming the field."""
    if variables is not None and parameters is not None:
        raise _invalid("parameters", "Give variables or parameters, not both.")
    if version.dialect == "cacao":
        return {"variables": _external(version, variables, parameters)}
    if variables is not None:
        raise _invalid("variables", "A playbook of this dialect takes parameters.")
    return {**start_values(workflow_of(version), parameters or {}), "asset": None}


def said_of(error: StartRefused) -> Exception:
    """Return the refusal of a start as what it is here: a conflict, or a field of the body."""
    if error.code in _STATE:
        return NotStartable(error.code, error.message)
    name = str(error.context.get("name", ""))
    path = f"variables.{name}" if name else "variables"
    refused = Invalid(f"{path}: {error.message}", fields=[FieldError(path, error.message)])
    refused.code = error.code
    return refused


def _external(
    version: PlaybookVersion, variables: Mapping[str, Any] | None, parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Variables by their names; as parameters their underscores may be left out."""
    if variables is not None:
        return dict(variables)
    known = {name for name, variable in workflow_of(version).variables.items() if variable.external}
    found: dict[str, Any] = {}
    for name, value in (parameters or {}).items():
        variable = name if name in known else f"__{name}__"
        if variable not in known:
            raise _invalid(f"parameters.{name[:100]}", "The playbook has no such parameter.")
        if variable in found:
            raise _invalid(f"parameters.{name[:100]}", "It is given twice, with and without underscores.")
        found[variable] = value
    return found


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"{path}: {message}", fields=[FieldError(path, message)])
