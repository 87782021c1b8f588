"""W5 and W6: what the API costs with much history, beside a view that does nothing but find out who calls."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from django.db import connection

from accounts.models import Tenant
from accounts.services import create_tenant, create_user, issue_api_key
from benchmarks.history import DAYS, History, begin
from benchmarks.table import Figure
from benchmarks.web_urls import EMPTY
from config import processes
from config.supervisor import Service, Supervisor
from executions.models import Execution
from executions.statements import database_now

#: requests of each kind in a round
REQUESTS = 40
#: W6: callers at once, and for how many seconds a round
CALLERS, SECONDS = 8, 2.0
#: S4E and SOARCA count requests by key; nobody asks that much with one
KEYS = 16
TIMES_EMPTY, GROWTH = 5.0, 1.5
SHARE = 0.2

Path = Callable[[], str]


def measure(
    supervisor: Supervisor, *, only: frozenset[str], histories: Sequence[int], rounds: int, say: Callable[[str], None]
) -> Iterator[Figure]:
    """``histories``: how many executions the tenant has, from the smallest to the largest."""
    port = start_web(supervisor)
    tenant, keys = _tenant()
    history = begin(tenant)
    caller = Caller(port, keys)
    taken: list[Mapping[str, list[float]]] = []
    for count in histories:
        history.grow(count, say=say)
        if "W5" in only:
            taken.append(_latencies(caller, _paths(history), rounds))
            say(f"W5: measured with {count:,} executions")
    if "W5" in only:
        yield from _figures(taken, histories)
    if "W6" in only:
        yield from _throughput(caller, history, rounds=rounds, say=say)


class Caller:
    """Sends one request after the other on connections that stay open, a connection a thread."""

    def __init__(self, port: int, keys: Sequence[str]) -> None:
        self._port, self._keys = port, itertools.cycle(keys)
        self._own = threading.local()

    def __call__(self, path: str, body: bytes | None = None) -> int:
        """Return the status. Raises RuntimeError for one that is no success."""
        there: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if there is None:
            there = self._own.connection = http.client.HTTPConnection(processes.LOOPBACK, self._port, timeout=120)
            there.connect()
            there.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"Authorization": f"Bearer {next(self._keys)}", "Content-Type": "application/json"}
        there.request("GET" if body is None else "POST", path, body=body, headers=headers)
        answer = there.getresponse()
        said = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{path} answered {answer.status}: {said[:300]!r}")
        return answer.status


def start_web(supervisor: Supervisor) -> int:
    """Start the web server as `up` does, with the empty view beside its paths, unless it runs; return its port."""
    for child in supervisor.children:
        if child.service.role == "web" and child.service.port is not None:
            return child.service.port
    web = _web()
    supervisor.start(web)
    supervisor.wait_ready(web)
    assert web.port is not None
    return web.port


def _web() -> Service:
    with socket.socket() as probe:
        probe.bind((processes.LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    environ = {
        **processes.child_environ(port=port, demo=None),
        "DJANGO_SETTINGS_MODULE": "benchmarks.web_settings",
    }
    plain = processes.web(port=port, environ=environ)
    return Service(
        name=plain.name, role=plain.role, command=plain.command, environ=environ, popen=plain.popen, port=port,
        is_ready=lambda: processes.status_of(port, "/health/live") == 200,
    )  # fmt: skip


def _tenant() -> tuple[Tenant, list[str]]:
    now = database_now()
    tenant = create_tenant(slug=f"reads-{uuid4().hex[:8]}", name="Reads", rate_tier="enterprise", now=now)
    owner = create_user(tenant=tenant, email=f"{tenant.slug}@example.org", password=None, role="admin", now=now)
    return tenant, [
        issue_api_key(tenant=tenant, owner=owner, name=f"Key {number}", now=now)[1] for number in range(KEYS)
    ]


def _paths(history: History) -> dict[str, Path]:
    """What is asked, by name: lists as they are opened and narrowed, and single executions anywhere in the history."""
    middle = (database_now() - timedelta(days=DAYS / 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    some = itertools.cycle(history.some(500))
    rare = history.versions[-1].playbook
    lists = "/api/native/executions"

    def always(path: str) -> Path:
        return lambda: path

    return {
        "list": always(lists),
        "list, from the middle": always(f"{lists}?created_before={middle}"),
        "list, failed": always(f"{lists}?status=failed"),
        "list, cancelled": always(f"{lists}?status=cancelled"),
        "list, running": always(f"{lists}?status=running"),
        "list, waiting for a person": always(f"{lists}?waiting_for=request"),
        "list, of a rare playbook": always(f"{lists}?playbook={rare.pk}"),
        "list of reports (SOARCA, 20)": always("/reporter?limit=20"),
        "reviews": always("/api/native/reviews"),
        "figures of the queue": always("/api/native/queue"),
        "execution": lambda: f"{lists}/{next(some)[0]}",
        "its steps": lambda: f"{lists}/{next(some)[0]}/steps",
        "its events": lambda: f"{lists}/{next(some)[0]}/events",
        "execution by number (S4E)": lambda: f"/api/playbooks/executions/pexec-{next(some)[1]}",
        "its steps (S4E)": lambda: f"/api/playbooks/executions/pexec-{next(some)[1]}/steps",
        "report (SOARCA)": lambda: f"/reporter/{next(some)[0]}",
    }


def _latencies(caller: Caller, paths: Mapping[str, Path], rounds: int) -> dict[str, list[float]]:
    """Return the 95th percentile of each kind of request and round, in milliseconds; the empty view is kind ""."""
    kinds: dict[str, Path] = {"": lambda: EMPTY, **paths}
    for path in kinds.values():  # connections, caches and plans are warm before anything counts
        for _ in range(10):
            caller(path())
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, path in kinds.items():
            found[kind].append(1000 * statistics.quantiles([_timed(caller, path()) for _ in range(REQUESTS)], n=20)[-1])
    return found


def _timed(caller: Caller, path: str) -> float:
    began = time.perf_counter()
    caller(path)
    return time.perf_counter() - began


def _figures(taken: Sequence[Mapping[str, list[float]]], histories: Sequence[int]) -> Iterator[Figure]:
    few, many = taken[0], taken[-1]
    yield Figure(
        "W5", f"empty view, p95 ms with {histories[-1]:,} executions (beside {histories[0]:,})", many[""], few[""]
    )
    for kind in filter(None, many):
        yield Figure(
            f"W5 {kind}", f"p95 ms with {histories[-1]:,} executions (beside an empty view)", many[kind], many[""],
            most=TIMES_EMPTY,
        )  # fmt: skip
    for kind in filter(None, many):
        yield Figure(
            f"W5 growth: {kind}",
            f"p95 in empty views, with {histories[-1]:,} executions (beside {histories[0]:,})",
            [own / empty for own, empty in zip(many[kind], many[""], strict=True)],
            [own / empty for own, empty in zip(few[kind], few[""], strict=True)],
            most=GROWTH,
        )


def _throughput(caller: Caller, history: History, *, rounds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    some = itertools.cycle(history.some(500))
    body = json.dumps({"playbook": str(history.versions[0].playbook_id)}).encode()
    acts: dict[str, Callable[[], object]] = {
        "": lambda: caller(EMPTY),
        "list": lambda: caller("/api/native/executions"),
        "read": lambda: caller(f"/api/native/executions/{next(some)[0]}"),
        "start": lambda: caller("/api/native/executions", body),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in acts}
    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(rounds):
            for kind, act in acts.items():
                rates[kind].append(_rate(pool, act))
                _until_idle(history)
            say(f"W6: round {number + 1} of {rounds}")
    for kind in filter(None, acts):
        name = f"{CALLERS} callers at once, requests/s (beside an empty view)"
        # A start writes, and workers on the same machine take it up at once.
        yield Figure(f"W6 {kind}", name, rates[kind], rates[""], least=None if kind == "start" else SHARE)


def _rate(pool: ThreadPoolExecutor, act: Callable[[], object]) -> float:
    until = time.perf_counter() + SECONDS

    def keep_on() -> int:
        done = 0
        while time.perf_counter() < until:
            act()
            done += 1
        return done

    began = time.perf_counter()
    done = sum(future.result() for future in [pool.submit(keep_on) for _ in range(CALLERS)])
    return done / (time.perf_counter() - began)


def _until_idle(history: History) -> None:
    """What was started has ended: the next round is not measured beside it."""
    pause, until = threading.Event(), time.monotonic() + 120
    live = Execution.objects.filter(tenant=history.tenant, status__in=("pending", "running"))
    while live.exists():
        if time.monotonic() > until:
            raise TimeoutError("what was started did not end within two minutes")
        pause.wait(0.1)
    connection.close_if_unusable_or_obsolete()
