"""What an attempt came to, on its way from the worker to the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.base import Outcome, OutcomeKind, ProbeAnswer
from manual.policies import Rules

#: characters of all commands of a step in its report
REPORT_ROOM: Final = 1024 * 1024


class Abandoned(Exception):
    """The lease is lost, a stop was asked for or the database was away before anything was sent: no try at all."""


class Gated(Abandoned):
    """A switch, a cap or a breaker is in the way (``why``), and nothing was sent.

    ``needs``: what the calls go through. ``due_at``: not before then; None: once the gate opens.
    """

    def __init__(self, why: str, needs: Sequence[str], *, due_at: datetime | None = None) -> None:
        super().__init__(f"held back by a {why}")
        self.why = why
        self.needs = tuple(needs)
        self.due_at = due_at


@dataclass(frozen=True)
class ToApprove:
    """What a step would do, and by whose votes it may. ``digest``: SHA-256 of ``shown``; both come of one value.

    ``is_changed``: something else was approved before, which no longer counts.
    """

    rules: Rules
    shown: Mapping[str, Any]
    digest: str
    is_changed: bool = False


@dataclass(frozen=True)
class Performed:
    """``effect_class`` "" where nothing was to be called. ``is_intended``: an intent is stored for this fence.

    ``probed``: what the far side said of earlier attempts, None where it was not asked.
    """

    outcome: Outcome
    effect_class: str = ""
    is_intended: bool = False
    call_limit: timedelta = timedelta(seconds=30)
    settle: timedelta = timedelta(0)
    calls: Sequence[Mapping[str, Any]] = ()
    commands_b64: Sequence[str] = ()  # as the report shows them, secrets masked
    probed: ProbeAnswer | None = None
    frees_place: bool = False  # under a cap of its connection, where others may wait
    to_approve: ToApprove | None = None  # nothing was done: people are asked first

    @property
    def effect(self) -> str:
        """What is known of the outside world once it completed."""
        return "none" if self.effect_class in ("", "read") else "applied"

    def report(self) -> dict[str, object]:
        """The commands as the report shows them, as far as a report has room."""
        room, shown = REPORT_ROOM, []
        for command in self.commands_b64:
            room -= len(command)
            shown.append(command if room >= 0 else "")
        return {"commands_b64": shown} if shown else {}


def engine_failure(reason: str, message: str) -> Performed:
    """A try that ended before anything was sent, for a reason of CACAO.md 12.3."""
    return Performed(Outcome(kind=OutcomeKind.FAILED, code=reason, message=message, sent=False, retry=False))


def broken(error: Exception) -> Performed:
    """A try that our own code could not carry out, before anything was sent. The message holds no value."""
    message = f"The step could not be prepared: {type(error).__name__}."
    return Performed(Outcome(kind=OutcomeKind.FAILED, code="internal_error", message=message, sent=False))
