"""W8: its clients hear what a real web process sends, and one that misses an event, or hears it twice, is noticed."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_user, issue_api_key
from benchmarks.following import Received, Refused, follow_events, follow_incidents
from benchmarks.ingest import finding
from benchmarks.streams import Missed, _p95, allow_files
from core.actors import SYSTEM
from executions.models import Event
from incidents.models import IncidentEvent
from incidents.services import report_incidents
from playbooks.cacao.types import Step, StepType, Workflow
from tests.api.stream.serving import StreamServer
from tests.flows.starting import make_tenant, start_workflow

HAPPENED = {1: 10.0, 2: 20.0}
EMPTY = Workflow(
    start="start",
    steps={
        "start": Step(id="start", type=StepType.START, on_completion="end"),
        "end": Step(id="end", type=StepType.END),
    },
    dialect="s4e",
)


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[StreamServer]:
    server = StreamServer(tmp_path / "log", TRUSTED_PROXIES="127.0.0.1/32")
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def test_clients_of_both_kinds_receive_what_the_rows_say(server: StreamServer) -> None:
    tenant = make_tenant()
    owner = create_user(tenant=tenant, email="one@example.org", password=None, role="admin", now=timezone.now())
    key = issue_api_key(tenant=tenant, owner=owner, name="Streams", now=timezone.now())[1]

    events, incidents = asyncio.run(_follow(server.port, tenant, key))

    told = set(Event.objects.filter(execution__tenant=tenant).values_list("execution_id", "seq"))
    wanted = [{(str(execution), seq) for execution, seq in told}] * 2
    assert [{name for name, _ in received.frames} for received in events] == wanted
    numbers = list(IncidentEvent.objects.filter(tenant=tenant).order_by("number").values_list("number", flat=True))
    assert [[name for name, _ in received.frames] for received in incidents] == [numbers, numbers]
    assert len(numbers) == 2


async def _follow(port: int, tenant: Tenant, key: str) -> tuple[list[Received], list[Received]]:
    events, incidents = ([Received(), Received()] for _ in range(2))
    tasks = [
        asyncio.create_task(follow(port, key=key, address="198.18.0.1", received=received))
        for follow, some in ((follow_events, events), (follow_incidents, incidents))
        for received in some
    ]
    async with asyncio.timeout(60):
        await asyncio.gather(*(received.is_connected.wait() for received in (*events, *incidents)))
        least = await asyncio.to_thread(_happen, tenant)
        while min(len(r.frames) for r in events) < least or min(len(r.frames) for r in incidents) < 2:
            await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return events, incidents


def _happen(tenant: Tenant) -> int:
    try:
        start_workflow(tenant, EMPTY)
        report_incidents(
            tenant=tenant, findings=[finding("a"), finding("b")], actor=SYSTEM, now=timezone.now()
        )  # fmt: skip
        return Event.objects.filter(execution__tenant=tenant).count()
    finally:
        connection.close()


@pytest.mark.parametrize("follow", [follow_events, follow_incidents])
def test_a_stream_that_is_refused_says_so(server: StreamServer, follow: object) -> None:
    received = Received()
    with pytest.raises(Refused):
        asyncio.run(follow(server.port, key="wrong", address="198.18.0.1", received=received))  # type: ignore[operator]
    assert received.frames == []


@pytest.mark.parametrize("names", [[1], [1, 2, 2], [1, 2, 3], []])
def test_a_client_that_misses_an_event_or_has_one_too_many_is_noticed(names: list[int]) -> None:
    whole, other = (Received([(name, 30.0) for name in some]) for some in ([2, 1], names))
    assert _p95("websockets", [whole, whole], HAPPENED) == 20_000
    with pytest.raises(Missed, match="client 1 of 2"):
        _p95("websockets", [whole, other], HAPPENED)


def test_nothing_is_proven_where_nothing_happened() -> None:
    with pytest.raises(Missed, match="nothing happened"):
        _p95("websockets", [Received()], {})


def test_files_are_allowed_up_to_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: asked.append(wanted))
    allow_files(1000)
    assert asked == []
    allow_files(1512)
    assert asked == [(1512, 4096)]
    with pytest.raises(OSError, match="5000"):
        allow_files(5000)
