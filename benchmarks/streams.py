"""W8: five hundred websockets and five hundred streams of server-sent events at once, beside ten of each.

Each client has to receive every event of a run exactly once; otherwise nothing was measured. A delay is the time from
the event's own time, which is before its commit, to the frame's arrival in this process.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psutil
from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_tenant, create_user, issue_api_key
from api.stream.places import PER_PERSON
from benchmarks.executions import Durable
from benchmarks.following import Follower, Received, follow_events, follow_incidents
from benchmarks.ingest import finding
from benchmarks.reads import start_web
from benchmarks.table import Figure
from config.supervisor import Supervisor
from core.actors import SYSTEM
from executions.models import Event, Execution
from executions.statements import database_now
from incidents.models import IncidentEvent
from incidents.services import report_incidents

FEW = 10  # clients of each kind, whose delays the others are held against
GROWTH = 5.0
#: the run: so many turns, one a second, each with an execution and a list of incidents
TURNS, TURN = 15, 1.0
STEPS, INCIDENTS = 3, 3
#: how long the last frames may take to arrive once all has happened
PATIENCE = 120.0
#: file descriptors: one for each client here and one in the web process, and what a process has anyway
FILES_BESIDE = 512


class Missed(Exception):
    """Some client did not receive each event exactly once."""


@dataclass
class Taken:
    """95th percentiles in milliseconds, one value a round."""

    events: list[float] = field(default_factory=list)
    incidents: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)


def measure(supervisor: Supervisor, *, clients: int, rounds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """``clients``: of each kind. Raises Missed."""
    allow_files(2 * clients + FILES_BESIDE)
    scene = Scene(start_web(supervisor), clients)
    [web] = [child.process for child in supervisor.children if child.service.role == "web"]
    assert web is not None
    found = {FEW: Taken(), clients: Taken()}
    for number in range(rounds):
        for count, taken in found.items():
            events, incidents, files = asyncio.run(_round(scene, count, psutil.Process(web.pid)))
            taken.events.append(events)
            taken.incidents.append(incidents)
            taken.files.append(files)
            say(f"W8 round {number + 1} of {rounds}: {count} of each kind, p95 {events:.0f} and {incidents:.0f} ms")
    few, many = found[FEW], found[clients]
    beside = f"of {clients} of each kind at once (beside {FEW})"
    yield Figure("W8 websockets", f"p95 delay {beside}, ms", many.events, few.events, most=GROWTH)
    yield Figure("W8 server-sent events", f"p95 delay {beside}, ms", many.incidents, few.incidents, most=GROWTH)
    yield Figure("W8 files", f"open file descriptors of the web process, {beside}", many.files, few.files)


def allow_files(wanted: int) -> None:
    """Let this process, and what it starts from now on, have so many files open. Raises OSError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{wanted} file descriptors are needed and {hard} allowed: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Scene:
    """Two tenants, since one may not have a thousand streams open: one runs, the other has incidents."""

    def __init__(self, port: int, clients: int) -> None:
        self.port = port
        self.durable = Durable()
        self.incidents = create_tenant(slug=f"w8-{uuid4().hex[:8]}", name="Incidents", now=database_now())
        self._keys = {tenant.pk: _keys(tenant, clients) for tenant in (self.durable.tenant, self.incidents)}

    def followers(self, count: int) -> list[tuple[Follower, Received]]:
        """Both kinds in turn, each from an address of its own."""
        found = []
        for place in range(count):
            own, number = f"198.18.{place // 250}.{place % 250 + 1}", place // PER_PERSON
            for follow, tenant in ((follow_events, self.durable.tenant), (follow_incidents, self.incidents)):
                received = Received()
                key = self._keys[tenant.pk][number]
                found.append((follow(self.port, key=key, address=own, received=received), received))
        return found

    def happen(self) -> tuple[list[Any], int]:
        """Let the run happen; return its executions, which have ended, and the last event number from before."""
        before = _last_number(self.incidents)
        started: list[Any] = []
        began, pause = time.monotonic(), threading.Event()
        try:
            for turn in range(TURNS):
                started += self.durable.start_sequences(1, STEPS)
                names = [f"{uuid4().hex}" for _ in range(INCIDENTS)]
                report_incidents(
                    tenant=self.incidents, findings=[finding(name) for name in names], actor=SYSTEM, now=timezone.now()
                )
                pause.wait(max(began + (turn + 1) * TURN - time.monotonic(), 0))
            until = time.monotonic() + PATIENCE
            while Execution.objects.filter(pk__in=started, ended_at=None).exists():
                if time.monotonic() > until:
                    raise TimeoutError("the executions of the run did not end")
                pause.wait(0.1)
        finally:
            connection.close()  # of a thread that ends
        return started, before


def _keys(tenant: Tenant, clients: int) -> list[str]:
    keys = []
    for number in range(-(-clients // PER_PERSON)):
        email, now = f"{tenant.slug}-{number}@example.org", database_now()
        owner = create_user(tenant=tenant, email=email, password=None, role="admin", now=now)
        keys.append(issue_api_key(tenant=tenant, owner=owner, name="Streams", now=now)[1])
    return keys


def _last_number(tenant: Tenant) -> int:
    found = IncidentEvent.objects.filter(tenant=tenant).order_by("-number").values_list("number", flat=True).first()
    return found or 0


async def _round(scene: Scene, count: int, web: psutil.Process) -> tuple[float, float, float]:
    """Return the 95th percentiles of both kinds, and how many files the web process had open."""
    followers = await asyncio.to_thread(scene.followers, count)
    tasks = [asyncio.create_task(follower) for follower, _ in followers]
    try:
        for _, received in followers:
            await asyncio.wait_for(_first(received.is_connected.wait(), tasks), PATIENCE)
        files = web.num_fds()
        started, before = await _first(asyncio.to_thread(scene.happen), tasks)
        events, incidents = await asyncio.to_thread(_happened, scene, started, before)
        wanted = [events, incidents] * count
        await _until_all(followers, wanted, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    found = [received for _, received in followers]
    return _p95("websockets", found[::2], events), _p95("streams", found[1::2], incidents), files


async def _first(act: Any, tasks: Sequence[asyncio.Task[None]]) -> Any:
    """Wait for something, or for the first client that ends, which none may. Raises what ended it."""
    waiting = asyncio.ensure_future(act)
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {waiting}:
        waiting.cancel()
        raise Missed(f"a stream ended before its run was over: {task.exception()}")
    return waiting.result()


def _happened(scene: Scene, started: Sequence[Any], before: int) -> tuple[dict[Any, float], dict[Any, float]]:
    """What the rows say: the time of each event, by what its frame names it."""
    try:
        events = {
            (str(execution), seq): at.timestamp()
            for execution, seq, at in Event.objects.filter(execution__in=started).values_list("execution", "seq", "at")
        }
        told = IncidentEvent.objects.filter(tenant=scene.incidents, number__gt=before)
        return events, {number: at.timestamp() for number, at in told.values_list("number", "at")}
    finally:
        connection.close()


async def _until_all(
    followers: Sequence[tuple[Follower, Received]], wanted: Sequence[dict[Any, float]],
    tasks: Sequence[asyncio.Task[None]],
) -> None:  # fmt: skip
    """Until each has as many frames as there were events, or has had long enough; who has which is seen later."""
    until = time.monotonic() + PATIENCE
    while any(len(received.frames) < len(events) for (_, received), events in zip(followers, wanted, strict=True)):
        if time.monotonic() > until or any(task.done() for task in tasks):
            return
        await asyncio.sleep(0.1)


def _p95(kind: str, clients: Sequence[Received], happened: dict[Any, float]) -> float:
    """The 95th percentile of all delays in milliseconds. Raises Missed."""
    delays = []
    for place, received in enumerate(clients):
        counts = Counter(name for name, _ in received.frames)
        if counts != Counter(happened.keys()):
            missing, more = Counter(happened.keys()) - counts, counts - Counter(happened.keys())
            raise Missed(
                f"{kind}: of {len(happened)} events client {place} of {len(clients)} missed {missing.total()} and got "
                f"{more.total()} too many: {[*missing, *more][:3]}"
            )
        delays += [at - happened[name] for name, at in received.frames]
    if not delays:
        raise Missed(f"{kind}: nothing happened")
    return 1000 * statistics.quantiles(delays, n=20)[-1]
