"""Between CACAO's timestamps, which are exact, and the database's, which end at microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from playbooks.cacao.timestamps import instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(value: Any) -> Fraction | None:
    """Return the exact instant that a timestamp names; None for whatever is none."""
    if not isinstance(value, str):
        return None
    try:
        return instant(value)
    except ValueError:
        return None


def moment_of(value: Fraction) -> datetime:
    """Return the instant cut to microseconds."""
    return _EPOCH + timedelta(microseconds=int(value * 1_000_000))


def text_of(moment: datetime) -> str:
    """Return the moment as CACAO writes it: UTC, exactly three decimals."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
