"""Workers are killed in the middle of their work, and the broker is emptied: nothing is lost, nothing is done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from redis import Redis

from accounts.models import Tenant
from executions.models import Event, Execution, Review, StepRun
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from tests.connectors.servers import Server, ledger
from tests.factories import ConnectionFactory
from tests.faults.fleet import fleet, wait_until_ended
from tests.flows.starting import Start

EXECUTIONS, STEPS = 10, 10


def posting(count: int, *, path: str = "/effect/keyed") -> Workflow:
    """A start, ``count`` POSTs one after the other, an end."""
    names = [f"post-{number}" for number in range(1, count + 1)]
    steps = [
        Step(
            id=name,
            type=StepType.ACTION,
            operation=Operation(
                name="http.request",
                reference="act-http-request",
                parameters={"connection": "ledger", "method": "POST", "path": path, "body": {"step": name}},
            ),
            on_success=following,
        )
        for name, following in zip(names, [*names[1:], "end"], strict=True)
    ]
    start = Step(id="start", type=StepType.START, on_completion=names[0])
    found = {step.id: step for step in (start, *steps, Step(id="end", type=StepType.END))}
    return Workflow(start="start", steps=found, dialect="s4e")


@pytest.fixture
def effects(tenant: Tenant) -> Iterator[Server]:
    with ledger() as server:
        ConnectionFactory(tenant=tenant, name="ledger", url=server.url, keyed=True)
        yield server


def wait_for(server: Server, requests: int) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if len(server.requests) >= requests:
            return
        pause.wait(0.01)
    raise AssertionError(f"only {len(server.requests)} requests came")


@pytest.mark.slow
def test_killed_workers_and_an_emptied_broker_lose_nothing_and_double_nothing(
    start: Start, effects: Server, settings: object
) -> None:
    with fleet() as processes:
        executions = [start(posting(STEPS)) for _ in range(EXECUTIONS)]
        wait_for(effects, EXECUTIONS * STEPS // 5)
        assert processes.kill()
        Redis.from_url(settings.REDIS_URL).flushdb()  # type: ignore[attr-defined]
        wait_until_ended(list(executions), within=90)

    assert {e.status for e in Execution.objects.filter(pk__in=[e.pk for e in executions])} == {"completed"}
    keys = [received.headers["idempotency-key"] for received in effects.requests]
    assert effects.state.applied.keys() == set(keys)
    assert len(effects.state.applied) == EXECUTIONS * STEPS
    assert set(effects.state.applied.values()) == {1}
    assert {UUID(key) for key in keys} == set(StepRun.objects.filter(step_type="action").values_list("pk", flat=True))
    for execution in executions:
        seqs = Event.objects.filter(execution=execution).order_by("seq").values_list("seq", flat=True)
        assert list(seqs) == list(range(1, len(seqs) + 1))


@pytest.mark.slow
def test_an_unsafe_call_that_was_cut_short_is_put_to_a_person(start: Start, tenant: Tenant, effects: Server) -> None:
    from tests.connectors.servers import Reply

    ConnectionFactory(tenant=tenant, name="ledger", url=effects.url, keyed=False)
    effects.answers.append(Reply(manner="silent"))
    with fleet(workers=1) as processes:
        execution = start(posting(1, path="/effect/unkeyed"))
        wait_for(effects, 1)
        processes.kill()
        run = _wait_for_uncertain(execution)

    assert (run.effect, run.reason) == ("unknown", "no_answer")
    assert Review.objects.filter(step_run=run, status="open").count() == 1
    assert len(effects.requests) == 1


def _wait_for_uncertain(execution: Execution) -> StepRun:
    pause = threading.Event()
    for _ in range(600):
        found = StepRun.objects.filter(execution=execution, status="uncertain").first()
        if found is not None:
            return found
        pause.wait(0.05)
    runs = StepRun.objects.filter(execution=execution)
    raise AssertionError(f"no step run became uncertain: {[(r.step_id, r.status, r.message) for r in runs]}")
