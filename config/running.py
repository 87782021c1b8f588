"""What runs for a home: read from the supervisor's record, with the figures of the queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import watchdog

ROLES = ("workers", "web", "sweep", "postgres", "valkey", "demo")


@dataclass(frozen=True)
class Running:
    """``processes`` are those alive now: name, role, pid, socket, port, restarts."""

    up: int
    facts: dict[str, Any]
    processes: tuple[dict[str, Any], ...]

    def pids(self) -> dict[str, list[int]]:
        """Return role -> process ids; ``up`` is the supervisor itself."""
        found: dict[str, list[int]] = {"up": [self.up]} | {role: [] for role in ROLES}
        for process in self.processes:
            found.setdefault(process["role"], []).append(process["pid"])
        return found

    def sockets(self) -> dict[str, str]:
        return {process["name"]: process["socket"] for process in self.processes if process["socket"]}

    def ports(self) -> dict[str, int]:
        return {process["name"]: process["port"] for process in self.processes if process["port"]}


def find(home: Path) -> Running | None:
    """Return what `manage.py up` runs with this home, None when it does not run."""
    try:
        record = json.loads((home / "run.json").read_text())
    except FileNotFoundError:
        return None
    supervisor = record.pop("up")
    if watchdog.identity(supervisor["pid"]) != supervisor["identity"]:
        return None
    alive = [row for row in record.pop("processes") if watchdog.identity(row["pid"]) == row["identity"]]
    return Running(up=supervisor["pid"], facts=record, processes=tuple(alive))


def queue_figures() -> dict[str, int]:
    """Return counts of live step runs by what they wait for, and how many doorbells wait in the broker.

    ``due``: may be claimed now; ``published``: a doorbell was rung for it and nobody has claimed it yet.
    """
    from django.db import connection

    from executions.queue import waiting

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE status IN ('pending', 'retrying') AND due_at <= clock_timestamp()),
                   count(*) FILTER (WHERE status IN ('pending', 'retrying') AND published_at IS NOT NULL),
                   count(*) FILTER (WHERE status = 'running'),
                   count(*) FILTER (WHERE status = 'retrying'),
                   count(*) FILTER (WHERE status = 'waiting'),
                   count(*) FILTER (WHERE status = 'uncertain')
              FROM executions_steprun
             WHERE status IN ('pending', 'running', 'retrying', 'waiting', 'uncertain')
            """
        )
        counts = cursor.fetchone()
    names = ("due", "published", "running", "retrying", "waiting", "uncertain")
    return dict(zip(names, counts, strict=True)) | {"doorbells": waiting()}
