"""Figures of the queue: what waits, how old it is, who works, and what should not be. Counts only, no names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts.models import Tenant
from executions.models import Review, StepRun

#: seconds without a sweep after which recovery counts as stopped
SWEEP_LATE: Final = 10
#: seconds a lost lease may lie before the sweep should have taken it back
LEASE_OVERDUE: Final = 5
MOST_ORPHANS: Final = 1_000

# The statuses are those of the partial index step_run_deadlines, so that ended step runs are not read.
COUNTS = """
SELECT count(*) FILTER (WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp()
                          AND e.held_at IS NULL AND e.stop_as = ''),
       count(*) FILTER (WHERE s.status IN ('pending', 'retrying') AND s.published_at IS NOT NULL),
       count(*) FILTER (WHERE s.status = 'pending' AND s.due_at > clock_timestamp()),
       count(*) FILTER (WHERE s.status IN ('pending', 'retrying') AND e.held_at IS NOT NULL),
       count(*) FILTER (WHERE s.status = 'running'),
       count(*) FILTER (WHERE s.status = 'retrying'),
       count(*) FILTER (WHERE s.status = 'waiting' AND s.kind = 'timer'),
       count(*) FILTER (WHERE s.status = 'waiting' AND s.kind = 'child'),
       count(*) FILTER (WHERE s.status = 'waiting' AND s.kind = 'opener'),
       count(*) FILTER (WHERE s.status = 'waiting' AND s.kind NOT IN ('timer', 'child', 'opener')),
       count(*) FILTER (WHERE s.status IN ('pending', 'retrying')),
       EXTRACT(EPOCH FROM clock_timestamp() - min(s.due_at) FILTER (
           WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp() AND e.held_at IS NULL
             AND e.stop_as = '')),
       count(*) FILTER (WHERE s.status = 'running' AND s.lease_until < clock_timestamp() - make_interval(secs => %s))
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'running', 'retrying', 'waiting') AND (%s::uuid IS NULL OR s.tenant_id = %s)
"""
NODES = """
SELECT count(*) FILTER (WHERE role = 'work'), COALESCE(sum(slots) FILTER (WHERE role = 'work'), 0),
       count(*) FILTER (WHERE role = 'sweep' AND seen_at > clock_timestamp() - make_interval(secs => %s))
  FROM executions_node WHERE seen_at > clock_timestamp() - interval '15 s'
"""
# As the sweep's alarm of the same name.
ORPHANS = """
SELECT count(*) FROM (
    SELECT 1 FROM executions_execution e
     WHERE e.status IN ('pending', 'running', 'paused') AND e.held_at IS NULL
       AND (%s::uuid IS NULL OR e.tenant_id = %s)
       AND e.created_at < clock_timestamp() - interval '10 s' AND NOT EXISTS (
        SELECT 1 FROM executions_steprun s
         WHERE s.execution_id = e.id AND s.status IN ('pending', 'running', 'retrying', 'waiting', 'uncertain'))
     LIMIT %s) found
"""


@dataclass(frozen=True)
class Waiting:
    """Step runs in the state ``waiting``, by what for."""

    people: int
    timers: int
    children: int
    branches: int
    callbacks: int


@dataclass(frozen=True)
class Alarms:
    """What recovery should not leave lying: all of them 0 or False while all is well."""

    orphans: int
    leases_overdue: int
    sweep_late: bool
    no_worker: bool  # something is due, and nobody is there to do it


@dataclass(frozen=True)
class Figures:
    """``oldest_due_seconds`` None: nothing is due. ``limit`` None: of all tenants. ``queued`` counts against it."""

    due: int
    published: int
    delayed: int
    held: int
    running: int
    retrying: int
    waiting: Waiting
    uncertain: int
    open_reviews: int
    oldest_due_seconds: float | None
    queued: int
    limit: int | None
    workers: int
    slots: int
    sweeps: int
    alarms: Alarms


def queue_figures(tenant: Tenant | None) -> Figures:
    """Return the figures of one tenant, or of the installation. Workers and sweeps serve all tenants."""
    pk: UUID | None = tenant.pk if tenant is not None else None
    counts = _row(COUNTS, (LEASE_OVERDUE, pk, pk))
    due, published, delayed, held, running, retrying, timers, children, branches, others, queued, oldest, lost = counts
    workers, slots, sweeps = _row(NODES, (SWEEP_LATE,))
    (orphans,) = _row(ORPHANS, (pk, pk, MOST_ORPHANS))
    asked = StepRun.objects.filter(status="waiting", manual_requests__status="open")
    reviews = Review.objects.filter(status="open")
    if tenant is not None:
        asked, reviews = asked.filter(tenant=tenant), reviews.filter(tenant=tenant)
    people = asked.count()
    return Figures(
        due=due,
        published=published,
        delayed=delayed,
        held=held,
        running=running,
        retrying=retrying,
        waiting=Waiting(people, timers, children, branches, callbacks=max(others - people, 0)),
        uncertain=reviews.filter(step_run__status="uncertain").count(),
        open_reviews=reviews.count(),
        oldest_due_seconds=None if oldest is None else round(float(oldest), 3),
        queued=queued,
        limit=settings.SALLYPORT_QUEUE_LIMIT if tenant is not None else None,
        workers=workers,
        slots=slots,
        sweeps=sweeps,
        alarms=Alarms(orphans, lost, sweep_late=not sweeps, no_worker=due > 0 and not slots),
    )


def _row(sql: str, args: Sequence[Any]) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        row: Sequence[Any] = cursor.fetchone()
        return row
