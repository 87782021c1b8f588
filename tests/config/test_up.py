"""`manage.py up`, whole: its own PostgreSQL and Valkey, its own processes, until Ctrl-C."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import home as homes
from config import running, watchdog
from config.home import ROOT
from tests.config import production

pytestmark = [pytest.mark.up, pytest.mark.slow]
READY_WITHIN = 120.0


class Up:
    """One `manage.py up` with a home and a port of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port, self.log = home, production.free_port(), home.with_name(f"{home.name}.out")
        self.process: subprocess.Popen[bytes] | None = None

    def environ(self) -> dict[str, str]:
        told = {"SALLYPORT_HOME": str(self.home), "PORT": str(self.port), "WORKERS": "1"}
        return production.clean_environ() | told

    def start(self, *words: str) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *words], cwd=ROOT, env=self.environ(), stdout=log, stderr=log
            )

    def said(self) -> str:
        return self.log.read_text()

    def told(self) -> str:
        """Return everything there is to understand a failure: what it printed, the ends of its logs, the queue."""
        logs = [f"== {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in (self.home / "log").iterdir()]
        queue = subprocess.run(
            [sys.executable, "manage.py", "status"], cwd=ROOT, env=self.environ(), capture_output=True, text=True
        )
        return "\n".join([self.said(), *logs, queue.stdout, queue.stderr])

    def wait_for(self, text: str, within: float = READY_WITHIN) -> None:
        deadline = time.monotonic() + within
        while text not in self.said():
            assert self.process is not None
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def status(self) -> dict[str, Any]:
        said = subprocess.run(
            [sys.executable, "manage.py", "status", "--json"],
            cwd=ROOT, env=self.environ(), capture_output=True, text=True,
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    def pids(self) -> dict[str, list[int]]:
        found = running.find(self.home)
        assert found is not None
        return found.pids()

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def up() -> Iterator[Up]:
    directory = Path(tempfile.mkdtemp(prefix="sallyport-up-"))
    made = Up(directory)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop(signal.SIGTERM)
    shutil.rmtree(directory, ignore_errors=True)
    made.log.unlink(missing_ok=True)


def left_of(up: Up) -> list[int]:
    """Return every process of this machine that was told this home, by its environment or its arguments."""
    mark, found = str(up.home).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in told and watchdog.is_alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def test_one_command_brings_everything_up_and_ctrl_c_leaves_nothing(up: Up) -> None:
    up.start()
    up.wait_for("ready after")
    assert up.get("/health/ready")[0] == 200
    assert up.get("/api/docs")[0] == 200
    assert up.get("/admin/login/")[0] == 200

    credentials = json.loads((up.home / "credentials.json").read_text())
    assert set(credentials) == {"url", "tenant", "username", "password", "api_key"}
    assert (up.home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert up.get("/api/playbooks", Authorization=f"Bearer {credentials['api_key']}")[0] == 200
    for log in (up.home / "log").iterdir():
        text = log.read_text(errors="replace")
        assert credentials["password"] not in text
        assert credentials["api_key"] not in text

    up.wait_for("sample run: pexec-1001 completed")
    lines = re.findall(r"^\[ *[\d.]+ s\]   completed  (.+)$", up.said(), re.MULTILINE)
    assert len(lines) >= 4, up.said()
    assert credentials["password"] not in up.said()

    status = up.status()
    assert status["ports"]["web"] == up.port
    assert Path(status["sockets"]["postgres"]).is_socket()
    assert all(status["pids"][role] for role in running.ROLES)
    assert status["queue"]["running"] == 0

    assert up.stop(signal.SIGINT) == 0, up.said()
    assert left_of(up) == []

    up.start("--no-sample")  # a second start, warm, finds the data and the same credentials
    up.wait_for("ready after")
    assert "warm start; cold start:" in up.said()
    status_code, body = up.get("/api/playbooks", Authorization=f"Bearer {credentials['api_key']}")
    assert (status_code, b"pb-contain-address" in body) == (200, True)
    assert json.loads((up.home / "credentials.json").read_text()) == credentials


def test_a_second_up_of_a_home_is_refused_and_a_dead_worker_comes_back(up: Up) -> None:
    up.start("--no-sample")
    up.wait_for("ready after")

    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT, env=up.environ() | {"PORT": str(production.free_port())}, capture_output=True, text=True,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"http://127.0.0.1:{up.port}" in second.stderr
    assert "SALLYPORT_HOME" in second.stderr

    before = up.pids()
    os.kill(before["workers"][0], signal.SIGKILL)
    os.kill(before["valkey"][0], signal.SIGKILL)
    up.wait_for("worker-1 ended with -9; starting it again")
    up.wait_for("valkey ended with -9; starting it again")
    deadline = time.monotonic() + 60
    while not (up.pids()["workers"] and up.pids()["valkey"] and up.get("/health/ready")[0] == 200):
        assert time.monotonic() < deadline, up.get("/health/ready")
        time.sleep(0.1)
    assert up.pids()["workers"] != before["workers"]

    up.process.kill()  # type: ignore[union-attr]  # the watchdog ends what is left
    deadline = time.monotonic() + 30
    while left_of(up):
        assert time.monotonic() < deadline, left_of(up)
        time.sleep(0.1)


def test_a_port_that_is_taken_is_refused_with_what_to_do(up: Up) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        said = subprocess.run(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=up.environ(), capture_output=True, text=True
        )
    assert said.returncode == 1
    assert f"Port {up.port} is taken" in said.stderr
    assert "PORT=8001" in said.stderr
    assert left_of(up) == []


def test_status_without_up_says_so(up: Up) -> None:
    said = subprocess.run(
        [sys.executable, "manage.py", "status"], cwd=ROOT, env=up.environ(), capture_output=True, text=True
    )
    assert (said.returncode, "does not run" in said.stderr) == (1, True)
    assert homes.home() != up.home
