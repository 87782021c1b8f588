"""The declared inputs of an S4E playbook, and what a start gives to them. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import FieldError, Invalid
from playbooks.cacao.types import Workflow


class InputInvalid(Invalid):
    """What a start gave does not fit the declared inputs."""

    code = "input_invalid"


def start_values(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a start of an S4E playbook stores: ``parameters``, ``inputs`` and ``overrides``.

    ``inputs`` are the declared ones, given or by default; ``parameters`` are those and everything given;
    ``overrides`` are what was given, and replace the key of that name in the parameters of every step.
    Raises InputInvalid for a required input that has no value, and for a value of another type.
    """
    faults = []
    inputs: dict[str, Any] = {}
    for name, declared in workflow.inputs.items():
        if name in given:
            inputs[name] = given[name]
            if not fits(declared.get("type"), given[name]):
                faults.append(FieldError(f"parameters.{name}", f"The input {name!r} is a {declared.get('type')}."))
        elif "default" in declared:
            inputs[name] = declared["default"]
        elif declared.get("required"):
            faults.append(FieldError(f"parameters.{name}", f"The input {name!r} is required."))
    if faults:
        raise InputInvalid(f"{faults[0].path}: {faults[0].message}", fields=faults)
    return {"parameters": {**inputs, **given}, "inputs": inputs, "overrides": dict(given)}


def fits(declared: Any, value: Any) -> bool:
    """Whether a JSON value is of a declared input type; no type, and objects by reference, take any value."""
    match str(declared or "").lower():
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "finding" | "asset":
            return isinstance(value, dict | str)
    return True
