"""A worker that is told to end (SIGTERM) hands back what it has not begun; others go on, and nothing is uncertain."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import Tenant
from executions.models import Attempt, Execution, Review, StepRun
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from tests.connectors.servers import Reply, Server, json_reply, ledger
from tests.factories import ConnectionFactory
from tests.faults.fleet import Fleet, fleet, wait_for_nodes, wait_until_ended
from tests.faults.test_kill import posting, wait_for
from tests.flows.starting import Start

#: nobody waits for a lease here: what goes on was handed back
LONG = "600"


@pytest.fixture
def effects(tenant: Tenant) -> Iterator[Server]:
    with ledger() as server:
        ConnectionFactory(tenant=tenant, name="ledger", url=server.url, keyed=True)
        yield server


def reading() -> Workflow:
    parameters = {"connection": "ledger", "method": "GET", "path": "/"}
    operation = Operation(name="http.request", reference="act-http-request", parameters=parameters)
    step = Step(id="get", type=StepType.ACTION, operation=operation, on_success="end")
    start = Step(id="start", type=StepType.START, on_completion="get")
    found = {s.id: s for s in (start, step, Step(id="end", type=StepType.END))}
    return Workflow(start="start", steps=found, dialect="s4e")


def end_workers(processes: Fleet) -> list[int]:
    """SIGTERM every worker, and wait for their ends; the supervisor starts new ones."""
    ended = []
    for child in processes.children("workers"):
        process = child.process
        assert process is not None
        os.kill(process.pid, signal.SIGTERM)
        ended.append(process)
    return [process.wait(30) for process in ended]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_read_that_outlasts_the_grace_is_handed_back_and_made_by_another_worker(
    start: Start, effects: Server, pool: str
) -> None:
    effects.answers.extend((Reply(manner="silent"), json_reply({})))
    with fleet(workers=1, lease=LONG, pool=pool, SALLYPORT_DRAIN_GRACE="2") as processes:
        execution = start(reading())
        wait_for(effects, 1)
        assert end_workers(processes) == [0]
        wait_until_ended([execution], within=60)

    assert Execution.objects.get(pk=execution.pk).status == "completed"
    outcomes = Attempt.objects.filter(step_run__execution=execution, step_run__step_id="get").order_by("number")
    assert list(outcomes.values_list("outcome", flat=True)) == ["abandoned", "completed"]
    assert not Review.objects.exists()


@pytest.mark.slow
def test_workers_that_end_one_after_the_other_lose_nothing_and_leave_nothing_uncertain(
    start: Start, effects: Server, settings: Any
) -> None:
    with fleet(workers=2, lease=LONG, SALLYPORT_DRAIN_GRACE="8") as processes:
        executions = [start(posting(8, path="/effect/unkeyed")) for _ in range(20)]
        for _ in range(2):
            wait_for_nodes(2, processes)  # those that are ending have withdrawn
            wait_for(effects, min(len(effects.requests) + 20, 150))
            assert end_workers(processes) == [0, 0]
        wait_until_ended(list(executions), within=120)

    assert {e.status for e in Execution.objects.filter(pk__in=[e.pk for e in executions])} == {"completed"}
    assert len(effects.requests) == 160
    assert not StepRun.objects.filter(status="uncertain").exists()
    assert not Review.objects.exists()
    assert not Attempt.objects.filter(outcome="lost").exists()
