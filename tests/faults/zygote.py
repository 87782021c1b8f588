"""A process that has loaded everything and forks workers, sweeps and single calls on demand, in milliseconds each.

``python -m tests.faults.zygote`` reads one JSON object a line and answers each with the new process's id. A child leads
a session of its own. Nothing is connected and no thread runs before the fork, so a child starts as clean as a new
process does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    import django

    django.setup()
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be(order)
        print(pid, flush=True)


def _load() -> None:
    """Import what workers and sweeps would import one by one."""

    import config.celery
    import tests.faults.calls
    import tests.faults.mutants  # noqa: F401
    from connectors import registry

    registry.operations()
    config.celery.app.loader.import_default_modules()


def _be(order: dict[str, Any]) -> None:
    """Become what was ordered. Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for file, number in ((nowhere, 0), (log, 1), (log, 2)):
            os.dup2(file, number)
        _prepare(order)
        ROLES[order["role"]](order)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0) if not isinstance(end.code, str) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(order: dict[str, Any]) -> None:
    from executions import sweeper
    from tests.faults import failpoints, mutants

    sweeper.PERIOD = order.get("period", 0.2)
    if order.get("mutant"):
        mutants.put_in(order["mutant"])
    if order.get("failpoint"):
        mark, frozen = Path(order["mark"]), order.get("frozen", 1.5)
        failpoints.install(failpoints.Failpoint.read(order["failpoint"], mark=mark, frozen=frozen))


def _work(order: dict[str, Any]) -> None:
    from config.celery import app

    app.worker_main(
        [
            *("worker", "--pool=threads", "-c", str(order.get("threads", 1))),
            *("--without-gossip", "--without-mingle", "-l", "WARNING", "-n", f"w{os.getpid()}@%h"),
        ]
    )


def _sweep(order: dict[str, Any]) -> None:
    from executions.sweeper import Sweeper

    sweeper = Sweeper()
    signal.signal(signal.SIGTERM, lambda *_: sweeper.end())
    sweeper.run()


def _call(order: dict[str, Any]) -> None:
    from tests.faults import calls

    getattr(calls, order["call"])(**order["arguments"])


ROLES = {"work": _work, "sweep": _sweep, "call": _call}

if __name__ == "__main__":
    main()
