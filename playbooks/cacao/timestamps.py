"""RFC 3339 timestamps in UTC, compared as exact instants.

Source: CACAO.md section 3. Real files hold more than microseconds, which `datetime` cannot.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from fractions import Fraction

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,1000}))?Z",
    re.ASCII,
)


def instant(text: str) -> Fraction:
    """Return the seconds since 1970-01-01T00:00:00Z, exact to the last decimal.

    A leap second (``:60``) is the same instant as the second after it. Raises ValueError for other text.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("A timestamp is written as RFC 3339 has it, in UTC, such as 2026-03-01T12:00:00.000Z.")
    day, hour, minute, second, decimals = match.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError("The time of a timestamp lies between 00:00:00 and 23:59:60.")
    days = (date.fromisoformat(day) - date(1970, 1, 1)).days
    whole = days * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return whole + Fraction(int(decimals or 0), 10 ** len(decimals or ""))


def instant_of(moment: datetime) -> Fraction:
    """Return an aware datetime as the same kind of instant."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Fraction(since.days * 86_400 + since.seconds) + Fraction(since.microseconds, 1_000_000)
