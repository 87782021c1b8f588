"""PostgreSQL cuts connections at random while workers work: nothing is lost, nothing is done twice (I1, I7, I10)."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import Error, connection

from accounts.models import Tenant
from executions.models import Execution, Review, StepRun
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from tests.connectors.servers import ledger
from tests.executions.acting import connect, one_step, post
from tests.executions.histories import check_history
from tests.flows.starting import Start

EXECUTIONS, CUTS = 60, 90

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1
"""


class Work:
    """Workers and a sweep that go on until everything has ended, whatever happens to their connections."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.cuts = 0

    def worker(self, seed: int) -> None:
        random = Random(seed)
        while not self.is_over.is_set():
            try:
                due = list(StepRun.objects.filter(status__in=("pending", "retrying")).values_list("pk", flat=True)[:20])
                if due:
                    run_from(random.choice(due))
                else:
                    self.is_over.wait(0.01)
            except Error:
                connection.close()
        connection.close()

    def sweep(self) -> None:
        while not self.is_over.is_set():
            try:
                sweep_once()
            except Error:
                connection.close()
            self.is_over.wait(0.05)
        connection.close()

    def cut(self) -> None:
        while not self.is_over.wait(0.01) and self.cuts < CUTS:
            with connection.cursor() as cursor:
                cursor.execute(CUT)
                self.cuts += cursor.rowcount
        connection.close()


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> Iterator[None]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    settings.SALLYPORT_LEASE = timedelta(seconds=3)
    settings.SALLYPORT_SLICE = timedelta(0)
    logging.disable(logging.CRITICAL)  # hundreds of lost connections are the point here
    yield
    logging.disable(logging.NOTSET)


def work_under_cuts() -> None:
    """Let four workers and a sweep work until nothing moves any more, while connections are cut."""
    connection.close()
    work = Work()
    cutter = threading.Thread(target=work.cut)
    threads = [threading.Thread(target=partial(work.worker, seed)) for seed in range(4)]
    threads += [threading.Thread(target=work.sweep), cutter]
    for thread in threads:
        thread.start()
    cutter.join()
    for _ in range(600):
        if not StepRun.objects.filter(status__in=("pending", "running", "retrying")).exists():
            break
        work.is_over.wait(0.1)
    work.is_over.set()
    for thread in threads:
        thread.join(20)
    assert work.cuts >= CUTS // 2, "not enough was cut to prove anything"


def test_repeatable_calls_are_neither_lost_nor_doubled(start: Start, tenant: Tenant) -> None:
    with ledger() as server:
        connect(tenant, server)
        executions = [start(one_step(post("p"))) for _ in range(EXECUTIONS)]
        work_under_cuts()

        assert {found.status for found in Execution.objects.all()} == {"completed"}
        assert set(server.state.applied.values()) == {1}
        assert len(server.state.applied) == EXECUTIONS
    assert not Review.objects.exists()
    for execution in executions:
        check_history(execution)


def test_unsafe_calls_are_made_once_and_what_nobody_knows_is_reviewed(start: Start, tenant: Tenant) -> None:
    with ledger() as server:
        connect(tenant, server, keyed=False, trace_headers=True)
        executions = [start(one_step(post("p", "/effect/unkeyed"))) for _ in range(EXECUTIONS)]
        work_under_cuts()
        called = Counter(UUID(received.headers["x-step-run"]) for received in server.requests)

    assert set(called.values()) == {1}
    for run in StepRun.objects.filter(step_type="action"):
        if run.status == "completed":
            assert called[run.pk] == 1
        else:
            assert (run.status, run.effect) == ("uncertain", "unknown")
            assert Review.objects.filter(step_run=run, status="open").count() == 1
    for execution in executions:
        check_history(execution)
