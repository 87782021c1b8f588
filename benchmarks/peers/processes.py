"""A peer's process: started for its turn, told what to run, ended with all that it started."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
from django.db import connection

from config.embedded.postgres import ROLE
from config.home import ROOT, socket_directory

APPS = ROOT / "benchmarks" / "peers" / "apps"
STARTING, RUNNING = 180.0, 300.0  # seconds


class Failed(Exception):
    """Why a peer was not measured."""


class Peer:
    """Runs what it is told (``apps/talking.py``). ``python``: of the peer's environment."""

    def __init__(self, name: str, python: Path, command: Sequence[str], *, log: Path) -> None:
        self.name, self._python, self._command, self._log = name, python, command, log

    def __enter__(self) -> Peer:
        self._home = tempfile.mkdtemp(prefix="sallyport-peer-")
        self._database = f"peer_{uuid4().hex[:12]}"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {self._database}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._python), *self._command], cwd=APPS, env=self._environ(), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1, start_new_session=True,
            )  # fmt: skip
        try:
            self._hear("ready", STARTING)
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        tree = [*psutil.Process(self._process.pid).children(recursive=True)] if self._process.poll() is None else []
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()  # its end
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(tree, timeout=10)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self._database} WITH (FORCE)")
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def run_sequences(self, count: int, steps: int) -> None:
        self._tell(f"sequences {count} {steps}")

    def run_parallel(self, branches: int) -> None:
        self._tell(f"parallel {branches}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except OSError:
            raise Failed(f"its process ended; its log is {self._log}") from None
        self._hear("done", RUNNING)

    def _hear(self, word: str, seconds: float) -> None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise Failed(f"no answer within {seconds:.0f} s; its log is {self._log}")
        said = self._process.stdout.readline().strip()
        if said != word:
            raise Failed(f"{said or 'its process ended'}; its log is {self._log}")

    def _environ(self) -> dict[str, str]:
        """Nothing of ours but where the servers are."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "PEER_SOCKETS": str(socket_directory()),
            "PEER_USER": ROLE,
            "PEER_DATABASE": self._database,
            "PEER_REDIS": f"unix://{socket_directory()}/valkey.sock?db=3",
            "PEER_PORT": str(_free_port()),
            "PEER_HOME": self._home,
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
