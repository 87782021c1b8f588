"""What is due while slots are free: no more than are free, so that nothing waits for anything else.

Then nobody need be asked who comes first, which is what the dispatcher's pick costs; it is the state of a deployment
most of its time.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import connection

from executions.claimable import QUEUED, QUEUED_BY_KEY

#: step runs that are due in executions that are held, or stop: more are a case for the pick
HELD: Final = 100

# One statement that is its own commit. Index step_run_due, of which hardly more is read than there are free slots: the
# clock is read once, since what changes within a statement is no condition of an index. What runs takes a slot (index
# step_run_leases). A switch, a cap, or a nudge that may be lost is a case for the pick. SKIP LOCKED: several
# dispatchers take different rows.
TAKE: Final = f"""
WITH unused AS MATERIALIZED (
    SELECT GREATEST(COALESCE(sum(n.slots), 0)
                    - (SELECT count(*) FROM executions_steprun r WHERE r.status = 'running'), 0) AS slots
      FROM executions_node n WHERE n.role = 'work' AND n.seen_at > clock_timestamp() - interval '15 s'
), found AS MATERIALIZED (
    SELECT s.id, s.execution_id, s.published_at FROM executions_steprun s
     WHERE {QUEUED} AND s.due_at <= (SELECT clock_timestamp())
     ORDER BY s.due_at LIMIT (SELECT slots + {HELD} + 1 FROM unused)
), due AS MATERIALIZED (
    SELECT f.id, f.published_at FROM found f JOIN executions_execution e ON e.id = f.execution_id
     WHERE e.held_at IS NULL AND e.stop_as = ''
), seen AS MATERIALIZED (
    SELECT (SELECT count(*) FROM due) <= (SELECT slots FROM unused) AND (SELECT slots FROM unused) > 0
       AND (SELECT count(*) FROM found) <= (SELECT slots + {HELD} FROM unused)
       AND NOT EXISTS (SELECT 1 FROM due WHERE published_at < clock_timestamp() - interval '3 s')
       AND NOT EXISTS (SELECT 1 FROM executions_switch w WHERE w.lifted_at IS NULL)
       AND NOT EXISTS (SELECT 1 FROM executions_cap) AS is_idle
), free AS MATERIALIZED (
    SELECT s.id FROM seen CROSS JOIN due d JOIN executions_steprun s ON s.id = d.id
     WHERE seen.is_idle AND d.published_at IS NULL AND s.published_at IS NULL AND {QUEUED_BY_KEY}
       FOR UPDATE OF s SKIP LOCKED
), marked AS (
    UPDATE executions_steprun s
       SET published_at = clock_timestamp(), publications = s.publications + 1, nudged_with = 1, goes_ahead = false
      FROM free WHERE s.id = free.id
    RETURNING s.id, s.execution_id, s.position, s.lost_attempts, s.started_at
)
SELECT seen.is_idle,
       ARRAY(SELECT m.id FROM marked m
              ORDER BY m.lost_attempts = 0, m.position = 1 AND m.started_at IS NULL, m.execution_id, m.position)
  FROM seen
"""  # noqa: S608 (constants of this code)


def take() -> list[UUID] | None:
    """Mark what is due as published, and return it in order; None where more is due than slots are free."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE)
        is_idle, step_runs = cursor.fetchone()
    return list(step_runs) if is_idle else None
