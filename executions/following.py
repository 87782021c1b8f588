"""Follows events: those of one execution by ``seq``, those of a tenant as they are committed.

Within an execution ``seq`` is the order of commits, since its events are written under its lock. Over executions there
is no such number (ruling 44): the id of an event row is drawn before its transaction commits, so a lower id can appear
after a higher one. A Mark therefore keeps the ids that were still missing when it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from accounts.models import Tenant
from executions.models import FINAL_EXECUTION, Event, Execution
from executions.selectors import ExecutionNotFound

#: How many ids below the highest may still be missing: no transaction is under way while so many others commit.
UNSETTLED: Final = 5_000


@dataclass(frozen=True)
class Head:
    """Where an execution stands. When it is final, ``last_seq`` grows only by late notes and reviews."""

    id: UUID
    status: str
    last_seq: int

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_EXECUTION


def get_head(tenant: Tenant, *, id: UUID | None = None, number: int | None = None) -> Head:
    """Return the head of one execution by its UUID or number. Raises ExecutionNotFound, also for another tenant's."""
    wanted = Q(pk=id) if id is not None else Q(number=number)
    found = Execution.objects.filter(wanted, tenant=tenant).values_list("id", "status", "last_seq").first()
    if found is None:
        raise ExecutionNotFound("There is no such execution.")
    return Head(*found)


def events_after(tenant: Tenant, execution_id: UUID, *, seq: int, limit: int) -> list[Event]:
    """Return the events that follow ``seq``, in order and without gap."""
    rows = Event.objects.filter(execution_id=execution_id, seq__gt=seq, execution__tenant=tenant)
    return list(rows.order_by("seq")[:limit])


@dataclass(frozen=True)
class Mark:
    """A moment in the order of commits: every event up to ``high`` has been seen, but for the ``missing`` ids."""

    high: int
    missing: frozenset[int] = frozenset()


def mark_now() -> Mark:
    """Return the mark after which exactly those events come that are not committed yet."""
    ids = sorted(Event.objects.order_by("-id").values_list("id", flat=True)[:UNSETTLED])
    return advanced(Mark(ids[0] - 1), ids) if ids else Mark(0)


# Both parts go by the primary key.
VISIBLE = """
(SELECT id FROM executions_event WHERE id > %s ORDER BY id LIMIT %s)
UNION ALL
(SELECT id FROM executions_event WHERE id = ANY(%s::bigint[]))
"""

# By the primary keys of both tables.
OF_TENANT = """
SELECT e.* FROM executions_event e JOIN executions_execution x ON x.id = e.execution_id
 WHERE e.id = ANY(%s::bigint[]) AND x.tenant_id = %s
 ORDER BY e.id
"""


def tenant_events_after(tenant: Tenant, mark: Mark, *, limit: int) -> tuple[list[Event], Mark]:
    """Return the tenant's events that were committed since the mark, and the next mark.

    One read goes through ``limit`` rows of all tenants, and those that were missing: when the next mark differs from
    the given one, there may be more.
    The events of one execution come in the order of their ``seq``.
    """
    with connection.cursor() as cursor:
        cursor.execute(VISIBLE, [mark.high, limit, list(mark.missing)])
        ids = sorted(row[0] for row in cursor.fetchall())
    if not ids:
        return [], mark
    return list(Event.objects.raw(OF_TENANT, [ids, tenant.id])), advanced(mark, ids)


def advanced(mark: Mark, ids: list[int]) -> Mark:
    """Return the mark after ``ids``, in rising order, have been seen."""
    high = max(mark.high, ids[-1])
    settled = high - UNSETTLED
    skipped = set(range(max(mark.high, settled) + 1, high))
    unseen = (mark.missing | skipped).difference(ids)
    return Mark(high, frozenset(row for row in unseen if row > settled))
