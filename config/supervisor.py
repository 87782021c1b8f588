"""Starts services, keeps them alive, and ends them all: one supervisor for a home at a time.

No module of Django is needed. Every child leads a session of its own, since a terminal's Ctrl-C would otherwise
reach PostgreSQL before the workers that use it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from config import watchdog
from config.home import write_private
from config.progress import Bar

STABLE_AFTER = 60.0  # seconds; a child that lived this long starts again at once
LONGEST_PAUSE = 10.0  # seconds between two starts of a child that keeps ending


class CannotStart(Exception):
    """What is in the way, and what to do about it. The message is for the person at the terminal."""


def _nothing() -> None:
    return None


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Service:
    """A child process: how it is started, how it is asked to end, and how one knows that it is ready.

    ``tier`` 1 are the databases, 2 what uses them: tier 2 ends first. ``role`` groups processes of one kind.
    ``prepare`` runs before every start. ``popen``: further arguments of ``subprocess.Popen``.
    """

    name: str
    role: str
    command: Sequence[str]
    tier: int = 2
    stop_signal: str = "SIGTERM"
    environ: Mapping[str, str] = field(default_factory=dict)
    popen: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _always
    socket: str = ""
    port: int | None = None


class Child:
    """One service and its present process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.quick_ends = 0
        self.restarts = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def record(self) -> dict[str, Any]:
        pid = self.process.pid if self.process else 0
        return {
            "name": self.service.name,
            "role": self.service.role,
            "pid": pid,
            "identity": watchdog.identity(pid) if pid else "",
            "tier": self.service.tier,
            "signal": self.service.stop_signal,
            "socket": self.service.socket,
            "port": self.service.port,
            "restarts": self.restarts,
        }


class Supervisor:
    """Holds the lock of a home while it runs. ``say`` prints one line for the person at the terminal.

    ``patience``: how many seconds children have between the request to end and the kill.
    """

    def __init__(self, home: Path, say: Callable[[str], None], *, patience: float = 12.0) -> None:
        self.home, self.say, self.patience = home, say, patience
        self.children: list[Child] = []
        self.is_stopping = False
        self.facts: dict[str, Any] = {}  # what `manage.py status` is told beside the processes
        self._events: SimpleQueue[Child | None] = SimpleQueue()
        self._logs = home / "log"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(home)
        self._record_file = home / "run.json"
        self._end_orphans()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def ask_to_stop(self) -> None:
        """May be called by a signal handler."""
        self.is_stopping = True
        self._events.put(None)

    def start(self, *services: Service) -> None:
        """Start services without waiting for any."""
        for service in services:
            service.prepare()
            child = Child(service)
            self.children.append(child)
            self._spawn(child)
        self.write_record()

    def wait_ready(self, *services: Service, timeout: float = 60.0) -> None:
        """Wait until each is ready, in any order; raise CannotStart with the end of its log for one that ends."""
        deadline = time.monotonic() + timeout
        waiting = [child for child in self.children if child.service in services]
        while waiting and not self.is_stopping:
            self.raise_for_ended(waiting)
            waiting = [child for child in waiting if not child.service.is_ready()]
            if waiting and time.monotonic() > deadline:
                raise self._failed(waiting[0], f"is not ready after {timeout:.0f} s")
            if waiting:
                self._wait_for_event(0.02)

    def raise_for_ended(self, children: Sequence[Child] | None = None) -> None:
        for child in children if children is not None else self.children:
            if not child.is_running and not self.is_stopping:
                code = child.process.returncode if child.process else None
                raise self._failed(child, f"ended with {code}")

    def run_to_end(self, service: Service, *, label: str) -> None:
        """Run a service that ends by itself, showing the last line it printed; raise CannotStart if it fails."""
        service.prepare()
        self.log_of(service.name).unlink(missing_ok=True)
        child = Child(service)
        self.children.append(child)
        self._spawn(child)
        self.write_record()
        with Bar(label) as bar:
            while child.is_running and not self.is_stopping:
                self._wait_for_event(0.1)
                bar.advance(note=_last_line(self.log_of(service.name)))
        if self.is_stopping:
            return
        if child.process and child.process.returncode:
            raise self._failed(child, f"failed with {child.process.returncode}")
        self.children.remove(child)

    def watch(self) -> None:
        """Start again whatever ends, until asked to stop."""
        while not self.is_stopping:
            child = self._events.get()
            if child is not None:
                self._start_again(child)

    def tend(self, seconds: float) -> None:
        """Wait so long, or less when a child ends: start it again, but fail if it keeps ending."""
        child = self._wait_for_event(seconds)
        if child is not None and not child.is_running and child.quick_ends >= 3:
            raise self._failed(child, "keeps ending")
        if child is not None:
            self._start_again(child)

    def stop(self) -> None:
        """End every child, applications first, and give the lock back."""
        self.is_stopping = True
        by_pid = {child.process.pid: child for child in self.children if child.process}
        for tier in watchdog.TIERS:
            group = [
                (pid, child.service.stop_signal)
                for pid, child in by_pid.items()
                if child.service.tier == tier and child.is_running
            ]
            watchdog.end(group, patience=self.patience, alive=lambda pid: by_pid[pid].is_running)
        for pid in by_pid:
            self._tell(f"-{pid}")
        self._record_file.unlink(missing_ok=True)
        if self._watchdog.stdin:
            self._watchdog.stdin.close()
        self._watchdog.wait(20)
        self._lock.truncate(0)
        self._lock.close()

    def publish(self, text: str) -> None:
        """Write what a second `up` is told about this one."""
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(text)
        self._lock.flush()

    def write_record(self) -> None:
        """Write who runs, for `manage.py status` and for the next start should this one be killed."""
        record = {
            "up": {"pid": os.getpid(), "identity": watchdog.identity(os.getpid())},
            "watchdog": self._watchdog.pid,
            "processes": [child.record() for child in self.children],
            **self.facts,
        }
        write_private(self._record_file, json.dumps(record, indent=2))

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _spawn(self, child: Child) -> None:
        service = child.service
        options: dict[str, Any] = {"env": {**os.environ, **service.environ}, **service.popen}
        with self.log_of(service.name).open("ab") as log:
            child.process = subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        child.started = time.monotonic()
        self._tell(f"+{service.tier} {child.process.pid} {service.stop_signal}")
        threading.Thread(target=self._report_end, args=(child, child.process), daemon=True).start()

    def _report_end(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._tell(f"-{process.pid}")
        self._events.put(child)

    def _start_again(self, child: Child) -> None:
        if self.is_stopping or child.is_running or child not in self.children:
            return
        lived = time.monotonic() - child.started
        child.quick_ends = 0 if lived > STABLE_AFTER else child.quick_ends + 1
        pause = min(2.0 ** (child.quick_ends - 2), LONGEST_PAUSE) if child.quick_ends > 1 else 0.0
        code = child.process.returncode if child.process else None
        again = f"in {pause:.0f} s" if pause >= 1 else "now"
        name = child.service.name
        self.say(f"{name} ended with {code}; starting it again {again} (log: {self.log_of(name)})")
        if pause:
            threading.Timer(pause, self._restart_due, args=(child,)).start()
        else:
            self._restart_due(child)

    def _restart_due(self, child: Child) -> None:
        if self.is_stopping or child.is_running:
            return
        child.restarts += 1
        child.service.prepare()
        self._spawn(child)
        self.write_record()

    def _wait_for_event(self, seconds: float) -> Child | None:
        """Return the child that ended, None after ``seconds`` or when a stop is asked for."""
        try:
            return self._events.get(timeout=seconds)
        except Empty:
            return None

    def _tell(self, line: str) -> None:
        try:
            if self._watchdog.stdin:
                self._watchdog.stdin.write(line + "\n")
                self._watchdog.stdin.flush()
        except (OSError, ValueError):
            pass  # it was killed, or closed by stop(); the record on disk stands in for it

    def _failed(self, child: Child, why: str) -> CannotStart:
        path = self.log_of(child.service.name)
        lines = path.read_text(errors="replace").splitlines()[-15:] if path.exists() else []
        return CannotStart("\n".join([f"{child.service.name} {why}. Its log, {path}, ends with:", *lines]))

    def _end_orphans(self) -> None:
        """End what an earlier start left that was killed together with its watchdog."""
        if not self._record_file.exists():
            return
        left = json.loads(self._record_file.read_text())["processes"]
        for tier in watchdog.TIERS:
            watchdog.end(
                [
                    (row["pid"], row["signal"])
                    for row in left
                    if row["tier"] == tier and row["identity"] and watchdog.identity(row["pid"]) == row["identity"]
                ]
            )
        self._record_file.unlink()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _take_lock(home: Path) -> IO[str]:
    lock = (home / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise CannotStart(
            f"Sallyport already runs with {home} ({lock.read().strip() or 'it is just starting'}). "
            "Stop it, or give this one its own SALLYPORT_HOME and PORT."
        ) from None
    return lock
