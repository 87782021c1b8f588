"""What an attempt came to, on its way from the worker to the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connectors.base import Outcome, OutcomeKind


@dataclass(frozen=True)
class Performed:
    """``effect_class`` "" where nothing was to be called. ``is_intended``: an intent is stored for this fence."""

    outcome: Outcome
    effect_class: str = ""
    is_intended: bool = False
    call_limit: timedelta = timedelta(seconds=30)
    settle: timedelta = timedelta(0)
    calls: Sequence[Mapping[str, Any]] = ()
    commands_b64: Sequence[str] = ()  # as the report shows them, secrets masked
    facts: Mapping[str, Any] = field(default_factory=dict)  # for a review: command, target, arguments


def engine_failure(reason: str, message: str) -> Performed:
    """A try that ended before anything was sent, for a reason of CACAO.md 12.3."""
    return Performed(Outcome(kind=OutcomeKind.FAILED, code=reason, message=message, sent=False, retry=False))
