"""Whether a connection's token is good, and which of several connections is taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from connectors.models import Connection

REFRESH: Final = "refresh_token"


def status_of(connection: Connection, *, now: datetime) -> str:
    """Return active, expired or revoked: a token that is over counts as expired where it cannot be refreshed."""
    if connection.status == "revoked" or not connection.is_enabled:
        return "revoked"
    is_over = connection.expires_at is not None and connection.expires_at <= now
    if connection.status == "expired" or (is_over and REFRESH not in connection.sealed_secrets):
        return "expired"
    return "active"


def last_used(connections: Sequence[Connection], *, now: datetime) -> Connection | None:
    """Return the active one that was used last, of those that never were the newest; None where none is active."""
    good = [each for each in connections if status_of(each, now=now) == "active"]
    return max(
        good,
        key=lambda each: (each.last_used_at is not None, each.last_used_at or each.created_at, each.pk),
        default=None,
    )
