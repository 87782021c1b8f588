"""The baseline: bare Celery on the same broker, two prefork processes, with nothing durable behind it."""

from __future__ import annotations

import os
import sys
from uuid import uuid4

from celery import Celery, chain, group
from redis import Redis

from config import processes
from config.addresses import broker
from config.home import ROOT
from config.supervisor import Service, Supervisor

PREFIX = "bench:"
ROLE = "baseline"
PROCESSES = 2
PATIENCE = 120  # seconds

app = Celery("raw")
app.conf.update(
    broker_url=os.environ.get("RAW_BROKER_URL", ""),
    broker_transport_options={"global_keyprefix": PREFIX},
    task_default_queue="raw",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
)


@app.task(name="raw.step")
def step() -> None:
    """A step that does nothing."""


@app.task(name="raw.finish")
def finish(run: str) -> None:
    """The last step of a chain."""
    _redis().rpush(f"{PREFIX}done:{run}", "1")


@app.task(name="raw.branch")
def branch(run: str, branches: int) -> None:
    """One of many branches; the last one says so."""
    redis = _redis()
    if redis.incr(f"{PREFIX}count:{run}") == branches:
        redis.rpush(f"{PREFIX}done:{run}", "1")


def worker() -> Service:
    """The worker's service; it and this process use the broker of REDIS_URL as it is now."""
    address = broker(os.environ["REDIS_URL"])
    app.conf.update(broker_url=address)
    command = (
        *(sys.executable, "-m", "celery", "-A", "benchmarks.raw_celery", "worker", "--pool=prefork"),
        *("-c", str(PROCESSES), "--without-gossip", "--without-mingle", "--without-heartbeat"),
        *("-n", "raw@%h", "-Q", "raw"),
    )
    environ = {**processes.child_environ(port=1, demo=None), "RAW_BROKER_URL": address}
    return Service(name="raw", role=ROLE, command=command, environ=environ, popen={"cwd": ROOT})


def start(supervisor: Supervisor) -> None:
    """Start the baseline's worker, where it does not run yet."""
    if not any(child.service.role == ROLE for child in supervisor.children):
        supervisor.start(worker())


class RawCelery:
    """Submits to the baseline's workers and hears when they are done."""

    name = "bare Celery"

    def run_sequences(self, count: int, steps: int) -> None:
        """Submit chains as fast as possible and wait for all of them."""
        runs = [f"chain-{uuid4().hex}" for _ in range(count)]
        for run in runs:
            chain(*[step.si() for _ in range(steps - 1)], finish.si(run)).apply_async()
        for run in runs:
            self._wait(run)

    def run_parallel(self, branches: int) -> None:
        """Submit a group, joined by a counter in the broker, and wait for it."""
        run = f"group-{uuid4().hex}"
        group(branch.si(run, branches) for _ in range(branches)).apply_async()
        self._wait(run)

    def _wait(self, run: str) -> None:
        if _redis().blpop([f"{PREFIX}done:{run}"], timeout=PATIENCE) is None:
            raise TimeoutError(f"the baseline {run} did not end within two minutes")


_found: Redis | None = None


def _redis() -> Redis:
    global _found
    if _found is None:
        _found = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=PATIENCE + 30)
    return _found
