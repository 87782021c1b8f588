"""PostgreSQL's own figures follow a burst at once."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from accounts.models import Tenant
from executions.statistics import COUNTED, count_anew
from tests.api.stream.watching import start_sequence

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 6_000


def planned_rows() -> int:
    """How many due step runs a plan that is made now expects."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) SELECT id FROM executions_steprun WHERE status = 'pending'")
        [[[plan]]] = cursor.fetchall()
    return int(plan["Plan"]["Plan Rows"])


def test_a_burst_is_counted_and_a_little_work_is_not(tenant: Tenant) -> None:
    execution = start_sequence(tenant)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE executions_steprun, executions_execution")
    assert count_anew() == []

    run = execution.step_runs.values_list("pk", flat=True)[0]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
            " WHERE table_name = 'executions_steprun' AND column_name NOT IN ('id', 'step_id')"
        )
        [[columns]] = cursor.fetchall()
        cursor.execute(
            f"INSERT INTO executions_steprun (id, step_id, {columns})"
            f" SELECT gen_random_uuid(), 'copy-' || n, {columns} FROM executions_steprun, generate_series(1, %s) n"
            " WHERE id = %s",
            (STEPS, run),
        )
        cursor.execute("SELECT pg_stat_force_next_flush()")

    assert COUNTED[0] in count_anew()
    assert planned_rows() > STEPS / 2
    assert count_anew() == []
