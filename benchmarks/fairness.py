"""How long a tenant with little work waits beside one with much: once alone, once under load, in the same run."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from accounts.models import Tenant
from accounts.services import create_tenant
from benchmarks.answering import answering_after
from benchmarks.executions import store
from benchmarks.table import Figure
from connectors.services import save_connection
from core.actors import SYSTEM
from core.models import uuid7
from executions.models import Event, Execution, NextNumber, Scope, StepRun
from executions.rows import scope_id, step_run_id
from executions.services import start_execution
from executions.statements import database_now
from playbooks.cacao.types import Operation, Step, StepType
from playbooks.models import PlaybookVersion

BURST = 10  # executions that the small tenant starts at once
CALL = 0.005  # seconds
LOOK_EVERY = 0.02

# From the commit that made them due to the claim of the step that calls.
WAITS = """
SELECT EXTRACT(epoch FROM a.started_at - %s)::float8 FROM executions_steprun s
  JOIN executions_attempt a ON a.step_run_id = s.id AND a.number = 1
 WHERE s.execution_id = ANY(%s) AND s.step_id = 'call'
"""


def measure(*, due: int, bursts: int, say: Callable[[str], None]) -> Figure:
    """Return the 95th percentile of the waits under load beside that of the same run without, in milliseconds.

    Raises RuntimeError where the load was over before the last burst.
    """
    with answering_after(CALL) as url:
        small, middle, large = (_tenant(name, url) for name in ("small", "middle", "large"))
        one = _calling(small)
        _burst(small, one)  # warms caches and connections
        idle = _waits(small, one, bursts)
        say(f"idle: {len(idle)} waits, median {_ms(statistics.median(idle))} ms")
        _load(large, due)
        _load(middle, due // 10)
        _until(lambda: _queued(large) >= due * 0.9)
        say(f"load: {_queued(large)} step runs of one tenant are due, {_queued(middle)} of another")
        loaded = _waits(small, one, bursts)
        left = _queued(large)
    say(f"under load: {len(loaded)} waits, median {_ms(statistics.median(loaded))} ms; {left} still due")
    if not left:
        raise RuntimeError("the load was over before the last burst: nothing was measured (more --due)")
    name = f"wait of {BURST} due steps beside {due}, p95 ms (baseline: alone)"
    return Figure("W4", name, [_ms(_p95(loaded))], [_ms(_p95(idle))], most=2.0)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _tenant(name: str, url: str) -> Tenant:
    now = database_now()
    tenant = create_tenant(slug=f"{name}-{uuid4().hex[:8]}", name=name, now=now)
    save_connection(
        tenant=tenant, kind="http", name="target", url=url, secrets={}, settings={}, keyed=False,
        allow_networks=("127.0.0.0/8",), hosts=(), now=now,
    )  # fmt: skip
    return tenant


def _call(name: str, *, on_success: str) -> Step:
    parameters = {"connection": "target", "method": "GET", "path": "/"}
    operation = Operation(name="http.request", reference="act-http-request", parameters=parameters)
    return Step(id=name, type=StepType.ACTION, operation=operation, on_success=on_success)


def _calling(tenant: Tenant) -> PlaybookVersion:
    return store(tenant, [_call("call", on_success="end")], first="call")


def _load(tenant: Tenant, due: int) -> None:
    """Let so many step runs come due at once: copies, row by row, of one execution that was started."""
    version = _calling(tenant)
    with transaction.atomic():
        first = _start(tenant, version)
        scope, run = first.scopes.get(), first.step_runs.get()
        ids = [uuid7() for _ in range(due - 1)]
        for at in range(0, len(ids), 1000):
            some = ids[at : at + 1000]
            Execution.objects.bulk_create(_copy(first, id=new, number=NextNumber()) for new in some)
            Scope.objects.bulk_create(_copy(scope, id=scope_id(new, ""), execution_id=new) for new in some)
            StepRun.objects.bulk_create(
                _copy(run, id=step_run_id(new, "", run.step_id), execution_id=new, scope_id=scope_id(new, ""))
                for new in some
            )
            Event.objects.bulk_create(
                _copy(event, id=None, execution_id=new) for event in first.events.all() for new in some
            )


def _copy(row: Any, **changed: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**values | changed)


def _start(tenant: Tenant, version: PlaybookVersion) -> Execution:
    return start_execution(tenant=tenant, version=version, inputs={}, options={}, actor=SYSTEM, now=database_now())


def _waits(tenant: Tenant, version: PlaybookVersion, bursts: int) -> list[float]:
    return [wait for _ in range(bursts) for wait in _burst(tenant, version)]


def _burst(tenant: Tenant, version: PlaybookVersion) -> list[float]:
    """Start ten executions in one commit, wait for their ends, return how long each call waited, in seconds."""
    with transaction.atomic():
        ids = [_start(tenant, version).pk for _ in range(BURST)]
        due_at = database_now()
    _until(lambda: not Execution.objects.filter(pk__in=ids, ended_at=None).exists())
    with connection.cursor() as cursor:
        cursor.execute(WAITS, (due_at, ids))
        return [row[0] for row in cursor.fetchall()]


def _queued(tenant: Tenant) -> int:
    return StepRun.objects.filter(tenant=tenant, status__in=("pending", "retrying")).count()


def _until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    until = time.monotonic() + 300
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("what is measured did not come about within five minutes")
        pause.wait(LOOK_EVERY)


def _p95(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=20)[-1]
