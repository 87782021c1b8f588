"""The dispatcher: keeps a small window of nudges in the broker; the backlog waits in PostgreSQL.

It alone publishes (ruling 33). A nudge is published again only while the broker's queue is shorter than what is
outstanding, so a full queue is never doubled (ruling 34, I21).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from kombu.exceptions import OperationalError

from core import failpoints
from executions import queue

log = logging.getLogger(__name__)

NUDGES_A_SLOT = 4

# Indexes step_run_due (partial) and the primary key of executions; lost work first, then begun executions, oldest
# first, then fresh starts (EXECUTION-SEMANTICS 13). SKIP LOCKED: several dispatchers take different rows.
PICK = """
SELECT s.id
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp() AND s.published_at IS NULL
   AND e.held_at IS NULL AND e.stop_as = ''
 ORDER BY (s.lost_attempts > 0) DESC, (e.started_at IS NULL), e.created_at, s.position
 LIMIT %s
   FOR UPDATE OF s SKIP LOCKED
"""

# As PICK, for what was published and not claimed: 3 s, doubled with every publication, at most 60 s. The exponent has
# an end, because an interval has one.
STALE = """
SELECT s.id
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp()
   AND s.published_at < clock_timestamp()
       - LEAST(interval '60 s', interval '3 s' * (2 ^ LEAST(GREATEST(s.publications - 1, 0), 5)))
   AND e.held_at IS NULL AND e.stop_as = ''
 ORDER BY (s.lost_attempts > 0) DESC, s.published_at
 LIMIT %s
   FOR UPDATE OF s SKIP LOCKED
"""

# What is held or stops cannot be claimed: it takes no room in the window.
OUTSTANDING = """
SELECT count(*),
       count(*) FILTER (WHERE s.published_at < clock_timestamp() - interval '3 s')
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp() AND s.published_at IS NOT NULL
   AND e.held_at IS NULL AND e.stop_as = ''
"""

# Ruling 35: a publication counts towards "undeliverable" only while a live worker was claiming.
MARK = """
UPDATE executions_steprun
   SET published_at = clock_timestamp(), publications = publications + CASE WHEN %s THEN 1 ELSE 0 END
 WHERE id = ANY(%s)
"""

# What could not be published waits for publication still.
UNMARK = """
UPDATE executions_steprun
   SET published_at = NULL, publications = GREATEST(publications - 1, 0)
 WHERE id = ANY(%s) AND status IN ('pending', 'retrying')
"""

SLOTS = """
SELECT COALESCE(sum(slots), 0) FROM executions_node
 WHERE role = 'work' AND seen_at > clock_timestamp() - interval '15 s'
"""


def dispatch_due() -> int:
    """Publish what is due as far as the window has room; return how many nudges were published.

    The broker is asked and told while no row is locked, so a broker that hangs holds up nobody else.
    """
    slots = int(_row(SLOTS)[0])
    outstanding, stale = _row(OUTSTANDING)
    window = NUDGES_A_SLOT * max(slots, 1)
    missing = outstanding - _queue_length() if stale else 0
    with transaction.atomic():
        picked = _ids(PICK, window - outstanding)
        picked += _ids(STALE, min(missing, window))
        if picked:
            with connection.cursor() as cursor:
                cursor.execute(MARK, (slots > 0, picked))
    return _publish(picked) if picked else 0


def _publish(picked: list[UUID]) -> int:
    try:
        queue.publish(picked)
    except OperationalError:
        log.warning("dispatch.broker_away", extra={"nudges": len(picked)})
        with connection.cursor() as cursor:
            cursor.execute(UNMARK, (picked,))
        return 0
    failpoints.reach("after_publish")
    return len(picked)


def _queue_length() -> int:
    try:
        return queue.waiting()
    except OperationalError:
        return 1 << 30  # nothing is republished into a broker that does not answer


def _row(sql: str) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row: Sequence[Any] = cursor.fetchone()
        return row


def _ids(sql: str, limit: int) -> list[UUID]:
    if limit <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, (limit,))
        return [row[0] for row in cursor.fetchall()]
