"""Times as answers and events show them: UTC, whole seconds, ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
