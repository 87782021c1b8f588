"""An S4E playbook as values: what `reading` found to be right, and what everything else works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: the target that ends a branch, and with the outermost branch the run
END = "end"
DEFAULT_RETRIES = 3


class StepType(StrEnum):
    ACTION = "action"
    CONDITION = "condition"
    PARALLEL = "parallel"
    DELAY = "delay"
    APPROVAL = "approval"


class OnFailure(StrEnum):
    ABORT = "abort"
    CONTINUE = "continue"
    RETRY = "retry"


@dataclass(frozen=True)
class Step:
    """One step. Targets are step ids or ``end``; None: what follows in array order. ``on_failure`` is resolved."""

    id: str
    name: str
    type: StepType
    on_failure: OnFailure
    timeout_minutes: int | None = None
    # action
    action_ref: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # action, parallel, delay
    on_success: str | None = None
    # condition
    expression: str = ""
    on_true: str | None = None
    on_false: str | None = None
    # parallel
    branches: tuple[tuple[str, ...], ...] = ()
    # delay
    seconds: int = 0
    # approval
    approvers: tuple[str, ...] = ()
    message: str = ""
    on_approved: str | None = None
    on_rejected: str | None = None

    @property
    def is_opener(self) -> bool:
        return self.type in (StepType.CONDITION, StepType.PARALLEL)


@dataclass(frozen=True)
class Playbook:
    name: str
    version: str
    description: str
    trigger: Mapping[str, Any]  # {"event", "conditions", "cron"?}
    steps: tuple[Step, ...]
    on_failure: OnFailure = OnFailure.ABORT
    max_retries: int = DEFAULT_RETRIES
    timeout_minutes: int | None = None
    tags: tuple[str, ...] = ()
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
