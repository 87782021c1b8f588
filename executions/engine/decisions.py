"""What the engine decides: plain values that the services carry out, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from executions.engine.facts import ScopeFact
from executions.engine.statuses import ExecutionStatus, StepStatus


class Kind(StrEnum):
    """What moves a step run on."""

    ACT = "act"  # a worker calls connectors
    CONTROL = "control"  # a worker lets the engine go on (a delayed or first control step)
    OPENER = "opener"  # its branches
    REQUEST = "request"  # a person
    TIMER = "timer"  # time
    CHILD = "child"  # another execution


@dataclass(frozen=True)
class Opened:
    """Open a step run (S1 to S3, S1b)."""

    step: str
    scope: str
    status: StepStatus
    kind: Kind
    delay: timedelta = timedelta(0)
    timeout: timedelta | None = None
    wait: timedelta | None = None
    reason: str = ""
    message: str = ""
    verdict: Mapping[str, Any] | None = None
    question: str | None = None  # the text of the request, references filled in


@dataclass(frozen=True)
class Moved:
    """Move a step run that waits for its branches (S13)."""

    step: str
    scope: str
    to: StepStatus
    reason: str = ""
    message: str = ""
    verdict: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """Ask a person again for the verdict of a loop that is already open (D18)."""

    step: str
    scope: str
    question: str


@dataclass(frozen=True)
class ScopeOpened:
    scope: ScopeFact


@dataclass(frozen=True)
class ScopeChanged:
    """The scope as it is now: status, variables, writes."""

    scope: ScopeFact


@dataclass(frozen=True)
class Stopped:
    """Stop every live step run and scope below these scopes, and close the scopes (S15, S16)."""

    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """The execution ends once no step run is live."""

    status: ExecutionStatus
    reason: str = ""
    message: str = ""
    exception_handled: bool | None = None


Decision = Opened | Moved | Asked | ScopeOpened | ScopeChanged | Stopped | Ended


@dataclass(frozen=True)
class Result:
    """How a step run ended, as far as the flow is concerned."""

    status: StepStatus
    reason: str = ""
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # variables to write
    verdict: bool | str | None = None  # a person's decision, for a condition or switch in prose

    @property
    def is_success(self) -> bool:
        return self.status in (StepStatus.COMPLETED, StepStatus.SKIPPED)
