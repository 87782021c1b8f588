"""Workers that come and go while something is measured."""

from __future__ import annotations

import threading

from config import processes
from config.supervisor import Child, Supervisor
from executions.models import Node


def until_beating(count: int) -> None:
    """Until so many workers have said that they are there."""
    pause = threading.Event()
    for _ in range(600):
        if Node.objects.filter(role="work").count() >= count:
            return
        pause.wait(0.1)
    raise TimeoutError(f"{count} workers did not start within a minute")


def end(supervisor: Supervisor, child: Child) -> None:
    """It withdraws its heartbeat, and is not started again."""
    supervisor.children.remove(child)
    if child.process is not None:
        child.process.terminate()
        child.process.wait(30)


def replace(supervisor: Supervisor, *, threads: int, **environ: str) -> None:
    """End all workers and start as many, with these variables beside what they are told anyway."""
    old = [child for child in supervisor.children if child.service.role == "workers"]
    for child in old:
        end(supervisor, child)
    told = {**processes.child_environ(port=1, demo=None), **environ}
    supervisor.start(*processes.workers(count=len(old), threads=threads, environ=told))
    until_beating(len(old))
