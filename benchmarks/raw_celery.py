"""The baseline: bare Celery on the same broker, with nothing durable behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from celery import Celery, chain, group
from redis import Redis

REDIS_URL = os.environ.get("REDIS_URL", "")
PREFIX = "bench:"

app = Celery("raw")
app.conf.update(
    broker_url=os.environ.get("RAW_BROKER_URL", ""),
    broker_transport_options={"global_keyprefix": PREFIX},
    task_default_queue="raw",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="raw.step")
def step() -> None:
    """A step that does nothing."""


@app.task(name="raw.finish")
def finish(run: str) -> None:
    Redis.from_url(REDIS_URL).rpush(f"{PREFIX}done:{run}", "1")


@app.task(name="raw.branch")
def branch(run: str, branches: int) -> None:
    """One of many branches; the last one says so."""
    redis = Redis.from_url(REDIS_URL)
    if redis.incr(f"{PREFIX}count:{run}") == branches:
        redis.rpush(f"{PREFIX}done:{run}", "1")


def time_chain(steps: int) -> float:
    """Return the seconds that a chain of ``steps`` takes, from its submission to the end of its last task."""
    run = f"chain-{time.monotonic_ns()}"
    return _timed(run, lambda: chain(*[step.si() for _ in range(steps)], finish.si(run)).apply_async())


def time_group(branches: int) -> float:
    """Return the seconds that ``branches`` tasks side by side take, joined by a counter in the broker."""
    run = f"group-{time.monotonic_ns()}"
    return _timed(run, lambda: group(branch.si(run, branches) for _ in range(branches)).apply_async())


def _timed(run: str, submit: Callable[[], object]) -> float:
    began = time.perf_counter()
    submit()
    if Redis.from_url(REDIS_URL, socket_timeout=150).blpop([f"{PREFIX}done:{run}"], timeout=120) is None:
        raise TimeoutError(f"the baseline {run} did not end within two minutes")
    return time.perf_counter() - began
