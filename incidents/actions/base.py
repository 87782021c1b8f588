"""What a remediation action declares: its parameters, what it would do, and what it has done. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import FieldError, Invalid


class ParamsInvalid(Invalid):
    """``fields`` names each parameter that is missing, unknown or wrong."""

    code = "params_invalid"


@dataclass(frozen=True)
class Param:
    """One parameter. ``type``: string, integer, boolean or array[string]; ``shown_default``: where it is no value.

    ``least`` and ``most`` bound a number, or count the entries of an array; ``pattern`` holds for each text.
    """

    name: str
    type: str
    required: bool = False
    default: Any = None
    shown_default: str = ""
    least: int = 1
    most: int = 100
    pattern: str = r"[^\x00-\x1f\x7f]{1,200}"
    choices: Sequence[str] = ()

    @property
    def text(self) -> str:
        """What the list of actions says of it."""
        if self.required:
            return f"{self.type} (required)"
        shown = self.shown_default or ("" if self.default is None else str(self.default).lower())
        return f"{self.type} (optional, default: {shown})" if shown else f"{self.type} (optional)"

    def fault(self, value: Any) -> str:
        """Return what is wrong with a value; "" where nothing is."""
        match self.type:
            case "boolean":
                return "" if isinstance(value, bool) else "Must be true or false."
            case "integer":
                is_number = isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most
                return "" if is_number else f"Must be a whole number from {self.least} to {self.most}."
            case "string":
                return "" if self._fits(value) else self._wanted
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            return f"Must be a list of {self.least} to {self.most} texts."
        return "" if all(self._fits(entry) for entry in value) else f"Each: {self._wanted}"

    def _fits(self, value: Any) -> bool:
        if not isinstance(value, str) or not value.strip():
            return False
        return value in self.choices if self.choices else re.fullmatch(self.pattern, value) is not None

    @property
    def _wanted(self) -> str:
        if self.choices:
            return f"Must be one of {', '.join(self.choices)}."
        return f"Must be text of the form {self.pattern}"


@dataclass(frozen=True)
class Planner:
    """What is read from the planner before anything is decided. A version it does not know serves 0 percent."""

    stable: str | None
    previous: str | None
    percents: Mapping[str, int]

    def percent_of(self, version: str) -> int:
        return self.percents.get(version, 0)


@dataclass(frozen=True)
class Plan:
    """What an action would do. ``operation`` and ``arguments``: the one call that it is.

    ``resolved`` is kept until the end of the run, for ``Action.done``. ``compensation``: ``{"action_type", "params",
    "to"}``, what undoes it and what is the case then; None where nothing does.
    """

    message: str
    details: Mapping[str, Any]
    changes: Sequence[str]
    duration: float
    cost: float
    operation: str
    arguments: Mapping[str, Any]
    requires_approval: bool = False
    resolved: Mapping[str, Any] = field(default_factory=dict)
    compensation: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Action:
    """``plan(params, planner)``: defaults are filled in; ``planner`` is None unless ``reads_planner`` said so.

    ``done(resolved, output)`` returns message and details of a run that succeeded. Estimates of the list are text.
    """

    action_type: str
    display_name: str
    description: str
    duration: str
    cost: str
    params: tuple[Param, ...]
    plan: Callable[[Mapping[str, Any], Planner | None], Plan]
    done: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, dict[str, Any]]]
    requires_approval: bool = False
    reads_planner: Callable[[Mapping[str, Any]], bool] = lambda _: False

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with their defaults. Raises ParamsInvalid."""
        known = {param.name: param for param in self.params}
        faults = [FieldError(name[:100], "There is no such parameter.") for name in given if name not in known][:20]
        for name, param in known.items():
            if name not in given:
                faults += [FieldError(name, "Must be given.")] if param.required else []
            elif fault := param.fault(given[name]):
                faults.append(FieldError(name, fault))
        if faults:
            raise ParamsInvalid(f"{faults[0].path}: {faults[0].message}", fields=faults)
        defaults = {name: param.default for name, param in known.items() if param.default is not None}
        return {**defaults, **given}
