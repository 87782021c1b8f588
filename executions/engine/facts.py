"""What the engine is told: the scopes of an execution and what was written in them.

A scope is a branch that is open or has ended. Its path names the enclosing branches, outermost first:
``while-a#3/par-b.2`` (CACAO.md, D5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote

from playbooks.cacao.types import StepType, Value

ROOT = ""
EXCEPTION = "exception"


class ScopeStatus(StrEnum):
    OPEN = "open"
    ENDED = "ended"
    BROKE = "broke"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ScopeFact:
    """One scope. ``variables`` are its own; ``writes`` wait for a parallel's join (D13)."""

    path: str
    parent: str | None = None
    opener: str = ""
    key: str = ""
    position: int = 0
    status: ScopeStatus = ScopeStatus.OPEN
    is_isolated: bool = False
    variables: Mapping[str, Value] = field(default_factory=dict)
    writes: Mapping[str, Value] = field(default_factory=dict)

    def with_variable(self, name: str, value: Value) -> ScopeFact:
        return replace(self, variables={**self.variables, name: value})

    def with_write(self, name: str, value: Value) -> ScopeFact:
        return replace(self, writes={**self.writes, name: value})


class Facts(Protocol):
    """What is stored. Read under the execution's lock, so it does not change while the engine looks."""

    def scope(self, path: str) -> ScopeFact | None: ...

    def branches(self, opener: str, parent: str) -> Sequence[ScopeFact]:
        """All scopes that this opener has opened in ``parent``."""
        ...

    def has_open_branch(self, opener: str, parent: str, *, besides: Collection[str]) -> bool:
        """Whether one of them is open, those with the paths ``besides`` left out."""
        ...

    def template_context(self, path: str, step_id: str) -> Mapping[str, Any]:
        """What S4E templates may read: the trigger's object, parameters, inputs, steps, previous_step."""
        ...


_SUFFIX = {StepType.WHILE: "#", StepType.PARALLEL: ".", StepType.IF: ".", StepType.SWITCH: "."}


def child_path(parent: str, opener: str, opener_type: StepType, key: str) -> str:
    """Return the path of the branch ``key`` of an opener; the separators in free text are escaped."""
    name = quote(opener, safe="-_~:@! ").replace(".", "%2E")
    own = f"{name}{_SUFFIX[opener_type]}{quote(key, safe='-_~:@! ')}"
    return f"{parent}/{own}" if parent else own
