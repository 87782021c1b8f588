"""What is to become an incident, as a caller says it outright."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from incidents.engine.reading import Fields

KINDS: Final = ("invariant", "budget", "planner", "bundle", "gate")
SEVERITIES: Final = ("sev1", "sev2", "sev3", "sev4")
LONGEST_KEY: Final = 128
LONGEST_SUMMARY: Final = 256
LONGEST_NAME: Final = 128
MOST_PLAYBOOKS: Final = 50
#: what the metadata of an answer says of itself; no caller writes it
OURS: Final = frozenset({"notes", "action_history", "ack_notes", "mitigation_notes", "resolution_notes", "close_notes"})


@dataclass(frozen=True)
class Finding:
    """One incident to be, unless it is known already. ``kind`` and ``key`` say what it is about."""

    kind: str
    key: str
    severity: str
    summary: str
    details: dict[str, Any] = field(default_factory=dict)
    playbooks: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    assigned_to: str | None = None


def read_finding(value: Any) -> Finding:
    """Raises Invalid with every fault of ``value``."""
    fields = Fields(value)
    kind = fields.choice("kind", KINDS)
    key = fields.text("key", longest=LONGEST_KEY)
    summary = fields.text("summary", longest=LONGEST_SUMMARY)
    severity = fields.choice("severity", SEVERITIES, default="sev3")
    details, metadata = fields.mapping("details"), read_metadata(fields)
    playbooks = fields.texts("playbooks", most=MOST_PLAYBOOKS, longest=LONGEST_NAME)
    assigned_to = fields.text("assigned_to", longest=LONGEST_NAME, default=None)
    fields.end()
    return Finding(kind, key, severity, summary, details, tuple(playbooks), metadata, assigned_to)


def read_metadata(fields: Fields) -> Any:
    metadata = fields.mapping("metadata")
    taken = sorted(OURS & metadata.keys()) if metadata else []
    if taken:
        fields.fault("metadata", f"Sallyport itself says {', '.join(taken)}.")
    return metadata
