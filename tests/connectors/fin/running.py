"""Starts the clients of others in environments of their own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import pytest

CLIENTS = Path(__file__).parent / "clients"
#: how long a test waits for what must come; reaching it fails the test
LONG = 60.0


def interpreter_with(base: str, *, module: str, requirement: str, cache: Path) -> str:
    """Return a Python that can import ``module``: ``base``, or an environment made with it; skip where none can be."""
    if _can_import(base, module):
        return base
    found = cache / "bin" / "python"
    if found.exists() and _can_import(str(found), module):
        return str(found)
    made = subprocess.run([base, "-m", "venv", "--clear", str(cache)], capture_output=True, text=True)
    install = [str(found), "-m", "pip", "install", "--quiet", requirement]
    if made.returncode or subprocess.run(install, capture_output=True).returncode:
        pytest.skip(f"{requirement} cannot be installed here")
    return str(found)


def _can_import(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


class Client:
    """A running client: what it says, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def says(self, text: str) -> None:
        """Wait for a line that begins so."""
        until, heard = time.monotonic() + LONG, []
        while True:
            try:
                heard.append(self._lines.get(timeout=max(until - time.monotonic(), 0)))
            except Empty:
                pytest.fail(f"{text!r} was not said: {heard}")
            if heard[-1].startswith(text):
                return

    def tell_to_leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("leave\n")
        self.process.stdin.flush()


@contextmanager
def running(python: str, script: str, *arguments: str) -> Iterator[Client]:
    command = [python, "-u", str(CLIENTS / script), *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        process.wait()


def own_python() -> str:
    return sys.executable
