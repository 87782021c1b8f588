"""Workers and sweeps that cost milliseconds to start, to be killed, frozen and ended by tests (see zygote.py)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from config.home import ROOT
from tests.faults.fleet import database_url

LEASE = 1.0


class Process:
    """One forked process, leader of its own session and group."""

    def __init__(self, pid: int, log: Path, mark: Path) -> None:
        self.pid, self.log, self.mark = pid, log, mark

    @property
    def is_running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def was_hit(self) -> bool:
        """True once its failpoint has acted."""
        return self.mark.exists()

    def signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        self.signal(signal.SIGKILL)


class Nursery:
    """Starts processes of the test's own database and broker; ends them all."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self.directory = directory
        self.processes: list[Process] = []
        self._errors = (directory / "zygote.log").open("ab")
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=ROOT,
            env={**os.environ, **environ}, start_new_session=True,
        )  # fmt: skip
        said = self._read()
        assert said == "ready", (directory / "zygote.log").read_text()

    def start(self, role: str, **more: Any) -> Process:
        """Start a worker (``work``), a sweep or a call. ``failpoint``, ``mutant``, ``threads``: see zygote.py."""
        name = self.directory / uuid4().hex
        log, mark = name.with_suffix(".log"), name.with_suffix(".mark")
        log.touch()
        order = {"role": role, "log": str(log), "mark": str(mark), **more}
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        process = Process(int(self._read()), log, mark)
        self.processes.append(process)
        return process

    def clear(self) -> None:
        """Kill what was started so far, and wait until it is gone."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            until(lambda process=process: not process.is_running, "a killed process is gone")  # type: ignore[misc]
        self.processes.clear()

    def until(self, holds: Callable[[], object], what: str) -> None:
        """As ``until``; a failure shows what the processes have written."""
        try:
            until(holds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(process.log.read_text(errors="replace")[-3000:] for process in self.processes)

    def end(self) -> None:
        self.clear()
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(10)
        self._errors.close()

    def _read(self) -> str:
        assert self._zygote.stdout is not None
        return self._zygote.stdout.readline().strip()


@contextmanager
def nursery(**environ: str) -> Iterator[Nursery]:
    with tempfile.TemporaryDirectory(prefix="sallyport-nursery-") as directory:
        found = Nursery(
            Path(directory),
            {
                "DATABASE_URL": database_url(),
                "REDIS_URL": settings.REDIS_URL,
                "SALLYPORT_DEVELOPMENT": "1",
                "SALLYPORT_NO_BOOTSTRAP": "1",
                "SALLYPORT_LEASE": str(LEASE),
                "SALLYPORT_ALLOW_FAKE": "1",
                "ALLOW_NETWORKS": "127.0.0.0/8",
                "DJANGO_SETTINGS_MODULE": "config.settings",
                **environ,
            },
        )
        try:
            yield found
        finally:
            found.end()


def until(holds: Callable[[], object], what: str, *, within: float = 30) -> None:
    """Wait until something holds; look every 10 ms. Fail, naming it, after ``within`` seconds."""
    pause = threading.Event()
    for _ in range(int(within * 100)):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError(f"it did not come to this: {what}")
