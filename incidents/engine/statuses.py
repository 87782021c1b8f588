"""The five states of an incident, and which verb leads from where to where. There is no way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

#: seen by a detector or reported, nobody has taken it up
OPEN: Final = "open"
#: somebody has taken it up
ACKNOWLEDGED: Final = "acknowledged"
#: it does no more harm, its cause may still be there
MITIGATED: Final = "mitigated"
#: its cause is gone
RESOLVED: Final = "resolved"
#: nothing more will be done about it
CLOSED: Final = "closed"


@dataclass(frozen=True)
class Move:
    """``notes``: under which name the metadata shows the last note of this verb."""

    sources: tuple[str, ...]
    target: str
    notes: str


MOVES: Final[Mapping[str, Move]] = MappingProxyType(
    {
        "acknowledge": Move((OPEN,), ACKNOWLEDGED, "ack_notes"),
        "mitigate": Move((OPEN, ACKNOWLEDGED), MITIGATED, "mitigation_notes"),
        "resolve": Move((ACKNOWLEDGED, MITIGATED), RESOLVED, "resolution_notes"),
        "close": Move((RESOLVED, MITIGATED), CLOSED, "close_notes"),
    }
)
