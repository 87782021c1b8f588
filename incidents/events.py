"""Numbered events of a tenant: stored with what they tell of, announced after the commit.

The rows are the truth, an announcement only says "look again" (as in ``executions.events``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from executions.events import announce, execution_group

# The first event of a tenant makes its counter. The row stays locked to the end of the transaction, so that numbers
# are committed in their order.
TAKE_NUMBERS = """
INSERT INTO incidents_eventcounter (tenant_id, last) VALUES (%s, %s)
ON CONFLICT (tenant_id) DO UPDATE SET last = incidents_eventcounter.last + excluded.last
RETURNING last
"""
INSERT = """
INSERT INTO incidents_incidentevent (tenant_id, number, type, data, at)
SELECT %s::uuid, %s::bigint + told.ordinality - 1, told.row ->> 'type', told.row -> 'data', %s::timestamptz
  FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS told(row, ordinality)
"""


@dataclass(frozen=True)
class Told:
    """``type``: incident_created, incident_updated or action_executed; ``data`` as the stream shows it."""

    type: str
    data: dict[str, Any]


def record(tenant_id: UUID, told: Sequence[Told], *, at: datetime) -> None:
    """Store events and announce them on commit. Called last in its transaction: it locks the tenant's counter."""
    if not told:
        return
    rows = json.dumps([{"type": one.type, "data": one.data} for one in told], ensure_ascii=False)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NUMBERS, [tenant_id, len(told)])
        first = cursor.fetchone()[0] - len(told) + 1
        cursor.execute(INSERT, [tenant_id, first, at, rows])
    transaction.on_commit(lambda: _announce(tenant_id), robust=True)


def stream_group(tenant_id: UUID) -> str:
    """Return the group that hears of new events. Groups are named by an id, and no execution has a tenant's."""
    return execution_group(tenant_id)


def _announce(tenant_id: UUID) -> None:
    announce(tenant_id, tenant_id)
