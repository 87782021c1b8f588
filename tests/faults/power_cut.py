"""A PostgreSQL of its own whose every process is killed at once, as when the power fails for the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from config.home import ROOT

#: beside what `manage.py up` gives its own server; a slow writer, so that a lost commit is no matter of luck
SETTINGS = {"wal_writer_delay": "10s"}
COMMITS = 400


def lost_after_a_kill(folder: Path) -> tuple[int, int]:
    """Return how many acknowledged commits are gone after a kill, and how many there were."""
    home = folder / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.power_cut"], input=json.dumps(SETTINGS), capture_output=True, text=True,
        env={**os.environ, "SALLYPORT_HOME": str(home), "DATABASE_URL": ""}, cwd=ROOT, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lost, acknowledged = json.loads(done.stdout.splitlines()[-1])
    return lost, acknowledged


def main() -> None:
    import dataclasses

    import psycopg

    from config import home
    from config.embedded.account import forget_data
    from config.embedded.postgres import postgres
    from config.supervisor import Supervisor

    settings = json.loads(sys.stdin.read())
    service = postgres(durable=True)
    more = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    service = dataclasses.replace(service, command=(*service.command, *more))
    address = f"host={home.socket_directory()} user=sallyport dbname=sallyport"
    supervisor = Supervisor(home.home(), lambda _: None)
    try:
        supervisor.start(service)
        supervisor.wait_ready(service)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE TABLE accepted (id int PRIMARY KEY)")
            connection.execute("CHECKPOINT")
            for number in range(COMMITS):
                connection.execute("INSERT INTO accepted VALUES (%s)", (number,))
            process = supervisor.children[0].process
            assert process is not None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        supervisor._restart_due(supervisor.children[0])
        supervisor.wait_ready(service)
        with psycopg.connect(address) as connection:
            found = connection.execute("SELECT count(*) FROM accepted").fetchone()
            assert found is not None
        print(json.dumps([COMMITS - found[0], COMMITS]))
    finally:
        supervisor.stop()
        forget_data()


if __name__ == "__main__":
    main()
