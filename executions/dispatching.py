"""The dispatcher: keeps a small window of nudges in the broker; the backlog waits in PostgreSQL.

It alone publishes (ruling 33). Who is next follows from the rows: what each tenant has published or running, divided
by its weight, so that what was served before counts in every later pick. A nudge is published again only while the
broker's queue is shorter than what is outstanding, so a full queue is never doubled (ruling 34, I21).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from kombu.exceptions import OperationalError

from core import failpoints
from executions import caps, idle, queue, statements
from executions.claimable import CLAIMABLE, PUBLISHABLE, QUEUED, QUEUED_BY_KEY, SERVED
from executions.queue import Nudge

log = logging.getLogger(__name__)

NUDGES_A_SLOT = 4
#: seconds; so long after more was due than slots were free nobody asks again whether that is so
BACKLOG = 0.2
#: no nudge names more, however wide the fan-out
LONGEST_NUDGE = 50

# Planned once for all sizes: a backlog can be younger than the statistics, and planning costs more than picking. So
# the plan may not rest on sizes: no sort and no whole table where an index has the order, candidates found once, and
# OFFSET 0, which has each execution and each step run looked up by its own key.
BY_INDEX = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true)
"""

OF_CLAIMABLE = f"""CROSS JOIN LATERAL (
            SELECT FROM executions_execution e WHERE e.id = s.execution_id AND {PUBLISHABLE} OFFSET 0) e
"""

# Lost work of anybody first. Then tenants by what they would have with this step run, divided by their weight. Within
# a tenant: lost work, then executions that have begun, the oldest first, then fresh starts by playbook in turn.
# Each branch reads no more rows than there is room for, through an index in the order in which they are wanted:
# step_run_lost, step_run_begun, execution_fresh with step_run_order. Tenant and playbook are named by bounds and in the
# order: by equality, an index of the key alone would have the order too, and reads what others have. ``tenants`` and
# ``fresh`` jump from one value of an index to the next. Ids of executions are in the order of their making.
PICK = f"""
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
tenants (id) AS (
    (SELECT s.tenant_id FROM executions_steprun s WHERE {QUEUED} ORDER BY s.tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.tenant_id FROM executions_steprun s WHERE {QUEUED} AND s.tenant_id > t.id
             ORDER BY s.tenant_id LIMIT 1)
      FROM tenants t WHERE t.id IS NOT NULL
),
fresh (tenant_id, playbook_id) AS (
    (SELECT e.tenant_id, e.playbook_id FROM executions_execution e WHERE e.status = 'pending'
      ORDER BY e.tenant_id, e.playbook_id LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.playbook_id FROM fresh f CROSS JOIN LATERAL (
        SELECT e.tenant_id, e.playbook_id FROM executions_execution e
         WHERE e.status = 'pending' AND (e.tenant_id, e.playbook_id) > (f.tenant_id, f.playbook_id)
         ORDER BY e.tenant_id, e.playbook_id LIMIT 1) n
),
served AS MATERIALIZED ({SERVED}),
shares AS MATERIALIZED (
    SELECT v.tenant_id, sum(v.had) AS had, sum(v.had) / max(t.dispatch_weight) AS share
      FROM served v JOIN accounts_tenant t ON t.id = v.tenant_id GROUP BY v.tenant_id
),
playbooks AS MATERIALIZED (SELECT playbook_id, sum(had) AS had FROM served GROUP BY playbook_id),
candidates AS MATERIALIZED (
    SELECT t.id AS tenant_id, c.* FROM tenants t CROSS JOIN LATERAL (
        SELECT s.id, s.execution_id, s.position, 0 AS lane, 0::float8 AS turn
          FROM executions_steprun s {OF_CLAIMABLE}
         WHERE s.tenant_id BETWEEN t.id AND t.id AND {QUEUED} AND s.published_at IS NULL AND s.lost_attempts > 0
           AND s.due_at <= (SELECT now FROM clock)
         ORDER BY s.tenant_id, s.execution_id LIMIT %(room)s) c
    UNION ALL
    SELECT t.id, c.* FROM tenants t CROSS JOIN LATERAL (
        SELECT s.id, s.execution_id, s.position, 1, 0
          FROM executions_steprun s {OF_CLAIMABLE}
         WHERE s.tenant_id BETWEEN t.id AND t.id AND {QUEUED} AND s.published_at IS NULL
           AND (s.position > 1 OR s.started_at IS NOT NULL) AND s.lost_attempts = 0
           AND s.due_at <= (SELECT now FROM clock)
         ORDER BY s.tenant_id, s.execution_id, s.position LIMIT %(room)s) c
    UNION ALL
    SELECT f.tenant_id, c.* FROM fresh f LEFT JOIN playbooks p USING (playbook_id) CROSS JOIN LATERAL (
        SELECT first.id, e.id, 1, 2, COALESCE(p.had, 0) + row_number() OVER (ORDER BY e.tenant_id, e.playbook_id, e.id)
          FROM executions_execution e CROSS JOIN LATERAL (
            SELECT s.id
              FROM (SELECT * FROM executions_steprun a WHERE a.execution_id = e.id AND a.position = 1 OFFSET 0) s
             WHERE {QUEUED} AND s.published_at IS NULL AND s.started_at IS NULL
               AND s.due_at <= (SELECT now FROM clock) AND {PUBLISHABLE} OFFSET 0) first
         WHERE (e.tenant_id, e.playbook_id) >= (f.tenant_id, f.playbook_id) AND e.status = 'pending'
           AND (e.tenant_id, e.playbook_id) <= (f.tenant_id, f.playbook_id)
         ORDER BY e.tenant_id, e.playbook_id, e.id LIMIT %(room)s) c
),
ranked AS (
    SELECT c.id, c.execution_id, c.position, c.lane, c.tenant_id,
           (COALESCE(h.had, 0)
                + row_number() OVER (PARTITION BY c.tenant_id ORDER BY c.lane, c.turn, c.execution_id, c.position)
           ) / t.dispatch_weight AS share
      FROM candidates c JOIN accounts_tenant t ON t.id = c.tenant_id LEFT JOIN shares h ON h.tenant_id = c.tenant_id
)
SELECT r.id, r.execution_id, r.lane = 0 OR EXISTS (
           SELECT 1 FROM shares o WHERE o.tenant_id <> r.tenant_id AND o.share >= 2 * r.share)
  FROM ranked r
 ORDER BY r.lane > 0, r.share, r.execution_id, r.position
 LIMIT %(room)s
"""  # noqa: S608 (constants of this module)

# SKIP LOCKED: several dispatchers take different rows.
TAKE = f"""
SELECT s.id FROM executions_steprun s
 WHERE s.id = ANY(%s) AND {QUEUED_BY_KEY} AND s.published_at IS NULL FOR UPDATE SKIP LOCKED
"""  # noqa: S608

# The due step runs of one execution, for nudges that name several. Index step_run_begun.
FAN_OUT = f"""
SELECT s.id FROM executions_execution e JOIN executions_steprun s ON s.tenant_id = e.tenant_id AND s.execution_id = e.id
 WHERE e.id = %(execution)s AND {QUEUED} AND s.published_at IS NULL
   AND (s.position > 1 OR s.started_at IS NOT NULL) AND s.lost_attempts = 0
   AND s.due_at <= clock_timestamp() AND {PUBLISHABLE}
 ORDER BY s.position LIMIT %(limit)s
"""  # noqa: S608

# What was published and not claimed for 3 s, doubled with every publication, at most 60 s. The exponent has an end,
# because an interval has one. Index step_run_published.
STALE = f"""
SELECT s.id, s.lost_attempts > 0
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE {QUEUED} AND s.due_at <= clock_timestamp()
   AND s.published_at < clock_timestamp()
       - LEAST(interval '60 s', interval '3 s' * (2 ^ LEAST(GREATEST(s.publications - 1, 0), 5)))
   AND {CLAIMABLE}
 ORDER BY (s.lost_attempts > 0) DESC, s.published_at
 LIMIT %s
   FOR UPDATE OF s SKIP LOCKED
"""  # noqa: S608

# In nudges. What is held or stops cannot be claimed: it takes no room in the window. Index step_run_published.
OUTSTANDING = f"""
SELECT COALESCE(sum(1.0::float8 / GREATEST(s.nudged_with, 1)) FILTER (WHERE NOT s.goes_ahead), 0),
       COALESCE(sum(1.0::float8 / GREATEST(s.nudged_with, 1)) FILTER (WHERE s.goes_ahead), 0),
       count(*) FILTER (WHERE s.published_at < clock_timestamp() - interval '3 s')
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE {QUEUED} AND s.due_at <= clock_timestamp() AND s.published_at IS NOT NULL AND {CLAIMABLE}
"""  # noqa: S608

# Ruling 35: a publication counts towards "undeliverable" only while a live worker was claiming.
MARK = """
UPDATE executions_steprun s
   SET published_at = clock_timestamp(), publications = s.publications + CASE WHEN %s THEN 1 ELSE 0 END,
       nudged_with = n.nudged_with, goes_ahead = n.goes_ahead
  FROM unnest(%s::uuid[], %s::int[], %s::bool[]) AS n(id, nudged_with, goes_ahead)
 WHERE s.id = n.id
"""

SLOTS = """
SELECT COALESCE(sum(slots), 0) FROM executions_node
 WHERE role = 'work' AND seen_at > clock_timestamp() - interval '15 s'
"""


@dataclass(frozen=True)
class Picked:
    """A due step run that is served next. ``goes_ahead``: of what waits in the broker already."""

    id: UUID
    execution_id: UUID
    goes_ahead: bool


_backlog_until = 0.0


def dispatch_due() -> int:
    """Publish what is due as far as the window has room; return how many step runs were published.

    The broker is asked and told while no row is locked, so a broker that hangs holds up nobody else.
    """
    global _backlog_until
    if time.monotonic() >= _backlog_until:
        free = idle.take()
        if free is not None:
            return _publish([Nudge((step_run,)) for step_run in free]) if free else 0
        _backlog_until = time.monotonic() + BACKLOG
    live = int(_row(SLOTS)[0])
    slots = max(live, 1)
    in_order, ahead, stale = _row(OUTSTANDING)
    missing = int(in_order + ahead) - _queue_length() if stale else 0
    room = NUDGES_A_SLOT * slots - int(in_order)
    with transaction.atomic():
        nudges = _publish_new(room, slots - int(ahead), slots=slots, counts=live > 0)
        again = _pick_again(min(missing, NUDGES_A_SLOT * slots))
        _mark(again, counts=live > 0)
        nudges += again
    return _publish(nudges) if nudges else 0


def _publish_new(room: int, ahead: int, *, slots: int, counts: bool) -> list[Nudge]:
    """Choose and mark as many nudges as there is room for, naming no more under a cap than it has places.

    What a cap leaves over makes room for others. Every round that leaves something over fills a cap, and what is
    under a full cap is not picked: so it ends.
    """
    marked: list[Nudge] = []
    while True:
        nudges = _pick(room, ahead, slots=slots)
        named = [step_run for nudge in nudges for step_run in nudge.step_runs]
        kept = _only(nudges, caps.within(named)) if named else []
        _mark(kept, counts=counts)
        marked += kept
        if sum(len(nudge.step_runs) for nudge in kept) == len(named):
            return marked
        in_front = sum(nudge.goes_ahead for nudge in kept)
        room, ahead = room - (len(kept) - in_front), ahead - in_front


def _pick(room: int, ahead: int, *, slots: int) -> list[Nudge]:
    """Choose as many nudges as there is room for, and lock what they name.

    ``ahead``: the room of its own, one a slot, of what goes ahead; a window full of one tenant's work does not keep
    lost work and other tenants out of the broker.
    """
    limit = max(room, 0) + max(ahead, 0)
    if limit == 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
    picked = _fitting([Picked(*row) for row in _all(PICK, {"room": limit})], room=room, ahead=ahead)
    if not picked:
        return []
    nudges = _nudges(picked, slots=slots)
    free = _all(TAKE, ([step_run for nudge in nudges for step_run in nudge.step_runs],))
    return _only(nudges, [row[0] for row in free])


def _only(nudges: Sequence[Nudge], step_runs: Sequence[UUID]) -> list[Nudge]:
    """Return the nudges without what is not among ``step_runs``."""
    wanted = set(step_runs)
    kept = (tuple(step_run for step_run in nudge.step_runs if step_run in wanted) for nudge in nudges)
    return [Nudge(ids, nudge.goes_ahead) for ids, nudge in zip(kept, nudges, strict=True) if ids]


def _fitting(picked: Sequence[Picked], *, room: int, ahead: int) -> list[Picked]:
    fitting = []
    for found in picked:
        if found.goes_ahead and ahead > 0:
            ahead -= 1
        elif room > 0:
            room -= 1
            found = replace(found, goes_ahead=False)
        else:
            continue
        fitting.append(found)
    return fitting


def _nudges(picked: Sequence[Picked], *, slots: int) -> list[Nudge]:
    """One nudge a step run; an execution that fans out gets as many nudges, each with several (ruling 32)."""
    counts = Counter(found.execution_id for found in picked)
    chunks = {
        execution: iter(_chunks(execution, nudges=count, slots=slots))
        for execution, count in counts.items()
        if count > 1
    }
    nudges = []
    for found in picked:
        chunk = next(chunks[found.execution_id], ()) if found.execution_id in chunks else (found.id,)
        if chunk:
            nudges.append(Nudge(chunk, found.goes_ahead))
    return nudges


def _chunks(execution: UUID, *, nudges: int, slots: int) -> list[tuple[UUID, ...]]:
    """Divide what is due in one execution: branches / (2 x slots) to a nudge, so that every slot has two."""
    args = {"execution": execution, "limit": nudges * LONGEST_NUDGE}
    due = [row[0] for row in _all(FAN_OUT, args)]
    size = min(max(len(due) // (2 * slots), 1), LONGEST_NUDGE)
    return [tuple(due[at : at + size]) for at in range(0, len(due), size)]


def _pick_again(missing: int) -> list[Nudge]:
    if missing <= 0:
        return []
    return [Nudge((step_run,), is_lost) for step_run, is_lost in _all(STALE, (missing,))]


def _mark(nudges: Sequence[Nudge], *, counts: bool) -> None:
    if not nudges:
        return
    rows = [(step_run, len(nudge.step_runs), nudge.goes_ahead) for nudge in nudges for step_run in nudge.step_runs]
    with connection.cursor() as cursor:
        cursor.execute(MARK, (counts, *(list(column) for column in zip(*rows, strict=True))))


def _publish(nudges: Sequence[Nudge]) -> int:
    step_runs = [step_run for nudge in nudges for step_run in nudge.step_runs]
    try:
        queue.publish(nudges)
    except OperationalError:
        log.warning("dispatch.broker_away", extra={"nudges": len(nudges)})
        statements.unpublish(step_runs)
        return 0
    failpoints.reach("after_publish")
    return len(step_runs)


def _queue_length() -> int:
    try:
        return queue.waiting()
    except OperationalError:
        return 1 << 30  # nothing is republished into a broker that does not answer


def _row(sql: str) -> Sequence[Any]:
    return _all(sql, ())[0]


def _all(sql: str, args: Any) -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())
