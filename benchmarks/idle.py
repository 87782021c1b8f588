"""What a worker holds in memory that has worked and has nothing to do, beside a bare Celery worker with Django."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import psutil
from redis import Redis

from benchmarks import raw_celery
from benchmarks.executions import Durable
from benchmarks.table import Figure
from config import processes
from config.addresses import broker
from config.home import ROOT
from config.supervisor import Service, Supervisor

MIB = 2**20
#: seconds after the last work; a worker's heartbeat and its pool have been through once
REST = 10.0
TASKS = 100


def measure(supervisor: Supervisor, *, threads: int, say: Callable[[str], None]) -> Figure:
    """Two workers of each kind, with as many threads; pages that several processes share count once."""
    bare = [_bare(number, threads) for number in (1, 2)]
    supervisor.start(*bare)
    redis = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=60)
    _send(redis)
    Durable().run_sequences(TASKS // 10, 10)
    threading.Event().wait(REST)
    ours = _each(supervisor, "workers")
    base = _each(supervisor, "bare")
    say(f"idle: {len(ours)} workers, {len(base)} bare ones")
    return Figure(
        "idle memory", f"one idle worker of {threads} threads, MiB (beside bare Celery with Django)",
        ours, base[: len(ours)], most=1.3,
    )  # fmt: skip


def _bare(number: int, threads: int) -> Service:
    command = (
        *(sys.executable, "-m", "celery", "-A", "benchmarks.bare_django", "worker", "--pool=threads"),
        *("-c", str(threads), "--without-gossip", "--without-mingle", "-n", f"bare-{number}@%h", "-Q", "bare"),
    )
    environ = {**processes.child_environ(port=1, demo=None), "RAW_BROKER_URL": broker(os.environ["REDIS_URL"])}
    environ["DJANGO_SETTINGS_MODULE"] = ""
    return Service(name=f"bare-{number}", role="bare", command=command, environ=environ, popen={"cwd": ROOT})


def _send(redis: Redis) -> None:
    """Let the bare workers do something, and wait until they have."""
    from celery import Celery

    sender = Celery("sender", broker=broker(os.environ["REDIS_URL"]))
    sender.conf.broker_transport_options = {"global_keyprefix": raw_celery.PREFIX}
    for _ in range(TASKS):
        sender.send_task("bare.step", queue="bare", ignore_result=True)
    pause = threading.Event()
    for _ in range(600):
        if not redis.llen(f"{raw_celery.PREFIX}bare"):
            return
        pause.wait(0.1)
    raise TimeoutError("the bare workers took nothing within a minute")


def _each(supervisor: Supervisor, role: str) -> list[float]:
    """MiB of each process tree of a role, the smallest first."""
    found = []
    for child in supervisor.children:
        if child.service.role == role and child.process is not None:
            tree = psutil.Process(child.process.pid)
            sizes = [process.memory_full_info() for process in (tree, *tree.children(recursive=True))]
            found.append(sum(getattr(size, "pss", size.rss) for size in sizes) / MIB)
    return sorted(found)
