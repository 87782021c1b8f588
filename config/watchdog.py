"""Ends the services when `manage.py up` dies without cleaning up: kill -9, a crash, a closed terminal.

Reads lines ``+tier pid signal`` and ``-pid`` on standard input; the end of the file means that the parent is gone.
The supervisor uses ``identity`` and ``end`` too. Standard library only: it runs with ``-I -S``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

TIERS = (2, 1)  # applications first, then the databases they use


def identity(pid: int) -> str:
    """Return what tells a live process from a later one with its number; "" for a dead one or a zombie.

    A zombie is dead although its number still answers: an init that reaps nothing leaves those for ever.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name before it may hold spaces
        return "" if fields[0] in "ZX" else fields[19]  # the start, in clock ticks since boot
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):
            return ""
    except (ProcessLookupError, PermissionError, IndexError):
        return ""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]  # no /proc: macOS
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return "" if not said or said[0].startswith("Z") else " ".join(said[1:])


def is_alive(pid: int) -> bool:
    return bool(identity(pid))


def end(group: Iterable[tuple[int, str]], *, patience: float = 12.0, alive: Callable[[int], bool] = is_alive) -> None:
    """Signal every (pid, signal name) at once, wait for all up to ``patience`` seconds, then kill what is left."""
    members = list(group)
    for pid, name in members:
        _signal(os.kill, pid, getattr(signal, name))
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(alive(pid) for pid, _ in members):
        time.sleep(0.02)
    for pid, _ in members:
        _signal(os.killpg, pid, signal.SIGKILL)  # each leads a group: stragglers it started go too


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> None:
    try:
        send(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    services: dict[int, tuple[int, str]] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            tier, pid, name = line[1:].split()
            services[int(pid)] = (int(tier), name)
        elif line.startswith("-"):
            services.pop(int(line[1:]), None)
    for tier in TIERS:
        end([(pid, name) for pid, (level, name) in services.items() if level == tier])


if __name__ == "__main__":
    main()
