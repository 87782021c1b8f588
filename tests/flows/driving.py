"""Drives executions in the test's own process, by the services that workers and sweeps use."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from executions.models import Execution
from executions.services.sweeping import sweep_once
from executions.tasks import run_from

DUE = """
SELECT s.id FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'retrying') AND s.due_at <= clock_timestamp() AND e.held_at IS NULL AND e.stop_as = ''
 ORDER BY s.position LIMIT 50
"""


def drain_once() -> bool:
    """Run everything that is due, in this thread; return whether anything was."""
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        due = [row[0] for row in cursor.fetchall()]
    for step_run in due:
        run_from(step_run)
    return bool(sweep_once()) or bool(due)


def drive(execution: Execution, *, within: float = 20) -> Execution:
    """Drive an execution until it is final, or waits for somebody outside.

    Retries and timers that lie in the future are waited for, at most ``within`` seconds.
    """
    until = time.monotonic() + within
    pause = threading.Event()
    while time.monotonic() < until:
        busy = drain_once()
        execution.refresh_from_db()
        if execution.is_final or (not busy and not _has_something_ahead(execution)):
            return execution
        if not busy:
            pause.wait(0.02)
    pytest.fail(f"the execution is still {execution.status} after {within} s")


def _has_something_ahead(execution: Execution) -> bool:
    """A step run, of it or of its children, that will be due by itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM executions_steprun WHERE tenant_id = %s AND ("
            "status IN ('running', 'retrying') OR (status = 'pending' AND due_at IS NOT NULL)"
            " OR (kind = 'timer' AND status = 'waiting' AND due_at < clock_timestamp() + interval '10 s')))",
            (execution.tenant_id,),
        )
        return bool(cursor.fetchone()[0]) and execution.held_at is None
