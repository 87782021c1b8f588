"""The supervisor, with small real processes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import running, watchdog
from config.supervisor import CannotStart, Service, Supervisor

PATIENT = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def python(name: str, code: str, **more: object) -> Service:
    return Service(name=name, role=name, command=(sys.executable, "-I", "-S", "-c", code), **more)  # type: ignore[arg-type]


def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.02)


@pytest.fixture
def said() -> queue.SimpleQueue[str]:
    return queue.SimpleQueue()


@pytest.fixture
def supervisor(tmp_path: Path, said: queue.SimpleQueue[str]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path, said.put)
    watching = threading.Thread(target=made.watch)
    watching.start()
    yield made
    made.ask_to_stop()
    watching.join(20)
    made.stop()


def pid_of(supervisor: Supervisor, name: str) -> int:
    process = next(child.process for child in supervisor.children if child.service.name == name)
    assert process is not None
    return process.pid


def recorded(supervisor: Supervisor) -> running.Running:
    found = running.find(supervisor.home)
    assert found is not None
    return found


def test_a_process_that_dies_is_started_again_and_the_person_is_told(
    supervisor: Supervisor, said: queue.SimpleQueue[str]
) -> None:
    supervisor.start(python("worker", PATIENT))
    first = pid_of(supervisor, "worker")

    os.kill(first, signal.SIGKILL)

    assert "worker ended with -9" in said.get(timeout=10)
    until(lambda: pid_of(supervisor, "worker") != first)
    # The process is there a moment before the record that names it.
    until(lambda: recorded(supervisor).pids().get("worker") == [pid_of(supervisor, "worker")])
    found = recorded(supervisor)
    assert [process["restarts"] for process in found.processes] == [1]


def test_stopping_leaves_no_process_not_even_one_that_ignores_the_signal(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, print, patience=0.5)
    supervisor.start(python("patient", PATIENT), python("stubborn", STUBBORN))
    pids = [pid_of(supervisor, "patient"), pid_of(supervisor, "stubborn")]
    until(lambda: "up" in supervisor.log_of("stubborn").read_text())
    until(lambda: all(watchdog.is_alive(pid) for pid in pids))

    supervisor.stop()

    until(lambda: not any(watchdog.is_alive(pid) for pid in pids), seconds=2)
    assert running.find(tmp_path) is None


def test_a_home_has_one_supervisor_at_a_time(supervisor: Supervisor) -> None:
    supervisor.publish("process 1, http://127.0.0.1:1")
    with pytest.raises(CannotStart, match=r"already runs .*process 1, .*SALLYPORT_HOME"):
        Supervisor(supervisor.home, print)


def test_a_process_that_cannot_start_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, print)
    try:
        broken = python("broken", "print('the disk is full'); raise SystemExit(3)", is_ready=lambda: False)
        supervisor.start(broken)
        with pytest.raises(CannotStart, match=r"broken ended with 3[\s\S]*the disk is full"):
            supervisor.wait_ready(broken)
    finally:
        supervisor.stop()


SUPERVISING = """
import sys
from pathlib import Path
from config.supervisor import Service, Supervisor
supervisor = Supervisor(Path(sys.argv[1]), print)
supervisor.start(Service(name="child", role="child", command=(sys.executable, "-c", "import time; time.sleep(600)")))
print("started", flush=True)
supervisor.watch()
"""


def supervising(home: Path) -> tuple[subprocess.Popen[str], int, int]:
    """Start a supervisor with one child in a process of its own; return it, its child's and its watchdog's number."""
    command = [sys.executable, "-c", SUPERVISING, str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    record = json.loads((home / "run.json").read_text())
    return process, record["processes"][0]["pid"], record["watchdog"]


def test_the_watchdog_ends_everything_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    process, child, _ = supervising(tmp_path)
    process.kill()
    process.wait()
    until(lambda: not watchdog.is_alive(child))


def test_a_next_start_ends_what_was_left_when_supervisor_and_watchdog_were_killed(tmp_path: Path) -> None:
    process, child, its_watchdog = supervising(tmp_path)
    for pid in (its_watchdog, process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert watchdog.is_alive(child)

    Supervisor(tmp_path, print).stop()

    assert not watchdog.is_alive(child)


def test_a_process_number_that_was_given_away_is_not_taken_for_an_old_one(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", PATIENT], start_new_session=True)
    try:
        row = {"pid": other.pid, "signal": "SIGTERM", "tier": 2, "identity": "another birth"}
        (tmp_path / "run.json").write_text(json.dumps({"up": {"pid": 1, "identity": ""}, "processes": [row]}))
        Supervisor(tmp_path, print).stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_zombie_counts_as_dead() -> None:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    until(lambda: not watchdog.is_alive(process.pid))
    assert process.wait() == 0
