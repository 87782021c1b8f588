"""Real workers and a real sweep against the test's own database and broker, under the supervisor of `manage.py up`."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from config import processes
from config.supervisor import Child, Supervisor
from executions.models import Node

LEASE = "2"


class Fleet:
    """Processes that can be killed."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def children(self, role: str) -> list[Child]:
        return [child for child in self.supervisor.children if child.service.role == role]

    def kill(self, role: str = "workers") -> list[int]:
        """SIGKILL every process group of a role; the supervisor starts them again."""
        killed = []
        for child in self.children(role):
            if child.process is not None and child.is_running:
                os.killpg(child.process.pid, signal.SIGKILL)
                killed.append(child.process.pid)
        return killed

    def log(self) -> str:
        return "\n".join(
            self.supervisor.log_of(child.service.name).read_text(errors="replace")[-3000:]
            for child in self.supervisor.children
        )


def database_url() -> str:
    """Return the address of the test's own database, by socket or by TCP."""
    found = connection.settings_dict
    host, port, user = str(found["HOST"]), str(found["PORT"] or 5432), quote(str(found["USER"]))
    if host.startswith("/"):
        return f"postgresql://{user}@/{found['NAME']}?host={host}"
    return f"postgresql://{user}@{host}:{port}/{found['NAME']}"


@contextmanager
def fleet(*, workers: int = 2, lease: str = LEASE, pool: str = "threads", **more: str) -> Iterator[Fleet]:
    """Start workers and a sweep and keep them alive until the block ends; ``more``: variables of their environment."""
    with tempfile.TemporaryDirectory(prefix="sallyport-fleet-") as directory:
        supervisor = Supervisor(Path(directory), lambda _: None)
        environ = {
            "DATABASE_URL": database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": os.environ["SECRET_KEY"],
            "SALLYPORT_DEVELOPMENT": "1",
            "SALLYPORT_NO_BOOTSTRAP": "1",
            "SALLYPORT_HOME": directory,
            "SALLYPORT_MASTER_KEY": os.environ["SALLYPORT_MASTER_KEY"],
            "SALLYPORT_LEASE": lease,
            "SALLYPORT_ALLOW_FAKE": "1",
            "ALLOW_NETWORKS": "127.0.0.0/8",
            **more,
        }
        watching = threading.Thread(target=supervisor.watch, daemon=True)
        try:
            supervisor.start(
                processes.sweep(environ=environ),
                *processes.workers(count=workers, threads=4, environ=environ, pool=pool),
            )
            watching.start()
            started = Fleet(supervisor)
            wait_for_nodes(workers, started)
            yield started
        finally:
            supervisor.ask_to_stop()
            supervisor.stop()
            watching.join(timeout=5)


def wait_for_nodes(workers: int, started: Fleet) -> None:
    pause = threading.Event()
    for _ in range(1200):
        if Node.objects.filter(role="work").count() >= workers and Node.objects.filter(role="sweep").exists():
            return
        pause.wait(0.05)
    raise AssertionError(f"the workers did not come up within a minute:\n{started.log()}")


def wait_until_ended(executions: list[object], *, within: float) -> None:
    """Wait until every execution is final. The rows are what is watched."""
    from executions.models import Execution

    ids = [execution.pk for execution in executions]  # type: ignore[attr-defined]
    pause = threading.Event()
    for _ in range(int(within / 0.1)):
        if not Execution.objects.filter(pk__in=ids, ended_at=None).exists():
            return
        pause.wait(0.1)
    left = list(Execution.objects.filter(pk__in=ids, ended_at=None).values_list("number", "status"))
    raise AssertionError(f"{len(left)} executions have not ended: {left[:10]}")
