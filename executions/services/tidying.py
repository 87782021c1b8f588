"""Lets go of what has been kept long enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import connection

#: how long a caller's start key is kept (ruling 38)
CALLERS_KEY: Final = timedelta(hours=24)
#: how long an event that comes again starts nothing anew
EVENTS_KEY: Final = timedelta(days=30)
BATCH: Final = 1_000

# Index execution_start_keys (created_at, partial).
FORGET = """
UPDATE executions_execution SET start_key = NULL, start_digest = ''
 WHERE id IN (
    SELECT id FROM executions_execution
     WHERE start_key IS NOT NULL AND created_at <= clock_timestamp() - %s
       AND (actor ->> 'kind' <> 'trigger' OR created_at <= clock_timestamp() - %s)
     ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def forget_start_keys() -> int:
    """Let keys of old starts be used again; return how many."""
    args: Sequence[Any] = (CALLERS_KEY, EVENTS_KEY, BATCH)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, args)
        return int(cursor.rowcount)
