"""Whether a tenant's queue has room for another start, and when it will (EXECUTION-SEMANTICS 12)."""

from __future__ import annotations

import math
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts.models import Tenant
from core.errors import FieldError, LimitReached

#: Retry-After where nothing was claimed lately, and the shortest and longest that is answered, in seconds
UNKNOWN, SHORTEST, LONGEST = 30, 1, 600

# Index step_run_queued; no further than the limit.
QUEUED = """
SELECT count(*) FROM (
    SELECT 1 FROM executions_steprun WHERE tenant_id = %s AND status IN ('pending', 'retrying') LIMIT %s) queued
"""

# The newest claims of the deployment, by the primary key; read only where a start is refused. Claims a second.
RATE = """
SELECT count(*) FILTER (WHERE s.tenant_id = %s)
       / GREATEST(EXTRACT(epoch FROM clock_timestamp() - min(a.started_at)), 1)::float8
  FROM (SELECT step_run_id, started_at FROM executions_attempt ORDER BY id DESC LIMIT 500) a
  JOIN executions_steprun s ON s.id = a.step_run_id
 WHERE a.started_at > clock_timestamp() - interval '5 minutes'
"""


class QueueFull(LimitReached):
    code = "queue_full"


def check_queue(tenant: Tenant) -> None:
    """Raise QueueFull where the tenant has as many step runs queued as it may."""
    limit = tenant.queue_limit or settings.SALLYPORT_QUEUE_LIMIT
    queued = int(_number(QUEUED, tenant.pk, limit))
    if queued < limit:
        return
    seconds = _seconds_until_room(tenant, limit)
    message = (
        f"The queue is full: {queued} step runs are queued and the limit is {limit}, so this start would have place "
        f"{queued + 1}. Try again in about {seconds} s."
    )
    place = FieldError("queue", f"place {queued + 1}, queued {queued}, limit {limit}")
    raise QueueFull(message, retry_after=seconds, fields=(place,), queued=queued, limit=limit)


def _seconds_until_room(tenant: Tenant, limit: int) -> int:
    """How long a hundredth of the queue takes at the rate of the last claims: others wait for the first free place."""
    rate = _number(RATE, tenant.pk)
    if rate <= 0:
        return UNKNOWN
    return min(max(math.ceil(limit / 100 / rate), SHORTEST), LONGEST)


def _number(sql: str, *args: UUID | int) -> float:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        found = cursor.fetchone()[0]
    return float(found or 0)
