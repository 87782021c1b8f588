"""How soon each severity is to be acknowledged, mitigated and resolved, counted from its making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

PHASES: Final = ("acknowledge", "mitigate", "resolve")

#: severity -> spans of PHASES; sev4 has no clock
ALLOWED: Final[Mapping[str, tuple[timedelta, ...]]] = MappingProxyType(
    {
        "sev1": (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=4)),
        "sev2": (timedelta(minutes=15), timedelta(hours=4), timedelta(hours=24)),
        "sev3": (timedelta(hours=1), timedelta(hours=24), timedelta(days=7)),
    }
)


@dataclass(frozen=True)
class Clock:
    """An incident's times. A step that was passed over counts as done with the one that came after it."""

    severity: str
    created_at: datetime
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None

    def late(self, now: datetime) -> list[tuple[str, datetime]]:
        """Return (phase, due) of what is missing or was done at ``now``, after its time."""
        return [(phase, due) for phase, due, done in self._steps() if due < now and (done is None or done >= now)]

    def next_due(self, after: datetime | None = None) -> datetime | None:
        """Return when the next missing step is due, of those due after ``after``; None when none is awaited."""
        missing = [due for _, due, done in self._steps() if done is None and (after is None or due > after)]
        return min(missing, default=None)

    def _steps(self) -> list[tuple[str, datetime, datetime | None]]:
        times = (self.acknowledged_at, self.mitigated_at, self.resolved_at, self.closed_at)
        return [
            (phase, self.created_at + span, min((time for time in times[number:] if time), default=None))
            for number, (phase, span) in enumerate(zip(PHASES, ALLOWED.get(self.severity, ()), strict=False))
        ]
