"""The events that a trigger may answer to."""

from __future__ import annotations

from typing import Final

EVENTS: Final = (
    "finding.new",
    "finding.status_changed",
    "scan.completed",
    "scan.failed",
    "action.completed",
    "manual",
    "schedule",
    "webhook",
    "alert.created",
    "anomaly.detected",
)
#: Started by a person, the clock, or a signed request: these are never emitted.
NOT_EMITTED: Final = frozenset({"manual", "schedule", "webhook"})
EMITTED: Final = tuple(event for event in EVENTS if event not in NOT_EMITTED)
