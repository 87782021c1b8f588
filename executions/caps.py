"""Caps as SQL: how many step runs of a tenant, playbook or connection run at once, counted from the rows themselves.

Two claims at once must not both take the last place, so who claims under a cap locks the cap's row first and counts
in the next statement. Lock order: parent execution, execution, step run, request, then caps by id, then a breaker;
whoever holds a cap waits for nothing but caps with a higher id and breakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from executions.switches import SWITCHED


def _covers(run: str, needs: str) -> str:
    """Return the condition "cap ``c`` is over this step run"; ``run``: alias of executions_steprun."""
    return f"""c.tenant_id = {run}.tenant_id
       AND CASE WHEN c.kind = 'tenant' THEN TRUE
                WHEN c.kind = 'playbook'
                THEN c.value = (SELECT x.playbook_id::text FROM executions_execution x WHERE x.id = {run}.execution_id)
                ELSE 'connection:' || c.value = ANY({needs}) END"""  # noqa: S608 (constants of this code)


# Index step_run_leases (partial: what runs).
_RUNNING = f"(SELECT count(*) FROM executions_steprun r WHERE r.status = 'running' AND {_covers('r', 'r.needs')})"  # noqa: S608

# What was published and can be claimed will take a place soon. Index step_run_due (partial).
_ON_THE_WAY = f"""(
    SELECT count(*) FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
     WHERE s.status IN ('pending', 'retrying') AND s.published_at IS NOT NULL AND s.due_at <= clock_timestamp()
       AND e.held_at IS NULL AND e.stop_as = '' AND {_covers("s", "s.needs")} AND NOT {SWITCHED})"""  # noqa: S608


def _is_full(taken: str) -> str:
    """Return the condition "a cap over step run ``s`` is full".

    The list of full caps stands outside of what is asked for each row: it is made once a statement, and the planner
    knows that.
    """
    full = f"ARRAY(SELECT c.id FROM executions_cap c WHERE c.most <= {taken})"  # noqa: S608 (constants of this code)
    return f"({full} && ARRAY(SELECT c.id FROM executions_cap c WHERE {_covers('s', 's.needs')}))"  # noqa: S608


#: a cap is over the step run ``s``, full or not
CAPPED = f"EXISTS (SELECT 1 FROM executions_cap c WHERE {_covers('s', 's.needs')} OFFSET 0)"  # noqa: S608
#: the same for ``plan``, what step run ``s`` is about to call
CAPPED_PLAN = f"EXISTS (SELECT 1 FROM executions_cap c WHERE c.kind = 'connection' AND {_covers('s', 'plan.needs')})"  # noqa: S608
#: no place is free for step run ``s``: it cannot be claimed now
FULL = _is_full(_RUNNING)
#: no place is free for another nudge
FULL_OR_PUBLISHED = _is_full(f"{_RUNNING} + {_ON_THE_WAY}")

#: what the dispatcher and the sweep ask of a step run ``s``: no switch and no full cap keeps it from starting
MAY_START = f"NOT {SWITCHED} AND NOT {FULL}"
#: the same before it is published anew: a nudge that is on its way has its place
MAY_BE_PUBLISHED = f"NOT {SWITCHED} AND NOT {FULL_OR_PUBLISHED}"

# Primary keys; the order by id is part of the lock order.
LOCK = f"""
SELECT c.id, c.kind FROM executions_cap c
  JOIN executions_steprun s ON s.id = %s
 WHERE {_covers("s", "COALESCE(%s::text[], s.needs::text[])")}
 ORDER BY c.id
   FOR UPDATE OF c
"""  # noqa: S608

# A statement of its own, after the lock: its snapshot has every claim that came before. A step run that runs already
# holds its place.
OVER = f"""
SELECT EXISTS (
    SELECT 1 FROM executions_cap c
     WHERE c.id = ANY(%s)
       AND c.most <= (SELECT count(*) FROM executions_steprun r
                       WHERE r.status = 'running' AND r.id <> %s AND {_covers("r", "r.needs")}))
"""  # noqa: S608

ROOM = f"""
WITH places AS MATERIALIZED (SELECT c.*, c.most - {_RUNNING} - {_ON_THE_WAY} AS room FROM executions_cap c)
SELECT s.id, c.id, c.room FROM executions_steprun s JOIN places c ON {_covers("s", "s.needs")} WHERE s.id = ANY(%s)
"""  # noqa: S608


def lock_room(step_run: UUID, *, needs: Sequence[str] | None = None, kinds: Sequence[str] = ()) -> bool:
    """Lock the caps over a step run and return whether each has a place for it, until the transaction ends.

    ``needs``: what it is about to call, else what its row says. ``kinds``: only caps of these kinds, else all.
    The caller holds the step run's lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK, (step_run, list(needs) if needs is not None else None))
        found = [row[0] for row in cursor.fetchall() if not kinds or row[1] in kinds]
        if not found:
            return True
        cursor.execute(OVER, (found, step_run))
        row = cursor.fetchone()
    return not row[0]


def within(picked: Sequence[UUID]) -> list[UUID]:
    """Return those of the picked step runs for which the caps have room, in their order, each with a place of its own.

    The places of what was published before and is still on its way are taken.
    """
    with connection.cursor() as cursor:
        cursor.execute(ROOM, (list(picked),))
        rows = cursor.fetchall()
    room = {cap: left for _, cap, left in rows}
    over: dict[UUID, list[UUID]] = {}
    for step_run, cap, _ in rows:
        over.setdefault(step_run, []).append(cap)
    kept = []
    for step_run in picked:
        caps = over.get(step_run, [])
        if all(room[cap] > 0 for cap in caps):
            kept.append(step_run)
            for cap in caps:
                room[cap] -= 1
    return kept
