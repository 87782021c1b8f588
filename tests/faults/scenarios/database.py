"""Faults of PostgreSQL and of the way to it."""

from __future__ import annotations

import signal
import time

from tests.faults.frame import Run, Scenario

STOP_EVERY = 8.0


def restart(run: Run) -> None:
    """Stop the server at once, or kill its first process every third time; start it again up to two seconds later."""
    while not run.is_over:
        [server] = run.stack.children("postgres")
        is_kill = len(run.faults) % 3 == 2
        assert server.process is not None
        server.process.send_signal(signal.SIGKILL if is_kill else signal.SIGQUIT)
        at = time.time()
        server.process.wait(30)
        run.fault("SIGKILL" if is_kill else "immediate stop", at=at)
        time.sleep(run.random.uniform(0, 2))
        run.stack.start_again(server)
        run.wait(STOP_EVERY)


SCENARIOS = (
    Scenario(
        "F05", "PostgreSQL stops and starts", "immediate stop every 8 s, down 0 to 2 s; each third SIGKILL",
        15, restart,
    ),
)  # fmt: skip
