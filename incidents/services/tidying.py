"""Lets go of what has been kept long enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import connection

from incidents.selectors import KEPT

#: how long a request's key gets the same answer (RULINGS 38)
ANSWERS_KEPT: Final = timedelta(hours=24)
BATCH: Final = 5_000

# Indexes incident_event_age, answered_request_age. Streams look back KEPT; events go after twice that.
FORGET_EVENTS = """
DELETE FROM incidents_incidentevent WHERE id IN (
    SELECT id FROM incidents_incidentevent WHERE at < clock_timestamp() - %s ORDER BY at LIMIT %s
    FOR UPDATE SKIP LOCKED)
"""
FORGET_ANSWERS = """
DELETE FROM incidents_answeredrequest WHERE key IN (
    SELECT key FROM incidents_answeredrequest WHERE created_at < clock_timestamp() - %s ORDER BY created_at LIMIT %s
    FOR UPDATE SKIP LOCKED)
"""
# Index action_start_keys (created_at, partial). The row stays, its key may be used again.
FORGET_START_KEYS = """
UPDATE incidents_actionrun SET start_key = NULL, start_digest = '' WHERE id IN (
    SELECT id FROM incidents_actionrun WHERE start_key IS NOT NULL AND created_at < clock_timestamp() - %s
    ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def forget_old() -> int:
    """Return how many rows or keys were let go."""
    passes: Sequence[tuple[str, Sequence[Any]]] = (
        (FORGET_EVENTS, (2 * KEPT, BATCH)),
        (FORGET_ANSWERS, (ANSWERS_KEPT, BATCH)),
        (FORGET_START_KEYS, (ANSWERS_KEPT, BATCH)),
    )
    count = 0
    with connection.cursor() as cursor:
        for sql, args in passes:
            cursor.execute(sql, args)
            count += cursor.rowcount
    return count
