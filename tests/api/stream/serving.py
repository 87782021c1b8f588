"""A real server on the test's database, and a client that reads what its streams send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from config.home import ROOT
from config.processes import status_of
from tests.config.production import free_port

#: how long a test waits for what must come; reaching it fails the test
LONG = 20.0


def database_url() -> str:
    found = connection.settings_dict
    host, port = str(found["HOST"]), str(found["PORT"] or "5432")
    if host.startswith("/"):
        return f"postgresql://{found['USER']}@/{found['NAME']}?host={host}"
    password = f":{found['PASSWORD']}" if found["PASSWORD"] else ""
    return f"postgresql://{found['USER']}{password}@{host}:{port}/{found['NAME']}"


class StreamServer:
    """The web process as it runs in production, with the flags of config/processes.py."""

    def __init__(self, log: Path, **environ: str) -> None:
        self.port = free_port()
        self._log = log
        told = {
            "DATABASE_URL": database_url(),
            "SALLYPORT_STREAM_PATIENCE": "1",
            "SALLYPORT_ALLOWED_ORIGINS": "https://wall.example.org",
            "PORT": str(self.port),
        }
        command = (
            *(sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(self.port)),
            *("--lifespan", "off", "--no-access-log", "--timeout-graceful-shutdown", "3", "--ws-max-size", "65536"),
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **told, **environ}, stdout=output, stderr=output
            )

    def wait_ready(self) -> None:
        until = time.monotonic() + LONG
        while status_of(self.port, "/health/live") != 200:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for_line(self, text: str) -> None:
        until = time.monotonic() + LONG
        while text not in self.log:
            assert time.monotonic() < until, self.log
            time.sleep(0.02)

    def open(self, path: str, key: str | None = None, **more: Any) -> ClientConnection:
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(url, additional_headers=headers, open_timeout=LONG, proxy=None, legacy=True, **more)

    def refusal(self, path: str, key: str | None = None, **more: Any) -> tuple[int | None, str]:
        """Open a stream that is expected to be refused; return code and reason of the close."""
        with self.open(path, key, **more) as client:
            told = read_to_end(client)
        assert told.frames == [], told
        return told.code, told.reason


@dataclass(frozen=True)
class Told:
    frames: list[dict[str, Any]]
    code: int | None
    reason: str

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames]


def read_to_end(client: ClientConnection) -> Told:
    """Read until the server closes."""
    frames = []
    try:
        while True:
            frames.append(json.loads(client.recv(timeout=LONG)))
    except ConnectionClosed:
        return Told(frames, client.close_code, client.close_reason or "")


def read(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(client.recv(timeout=LONG)) for _ in range(count)]
