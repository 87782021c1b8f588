"""Faults of worker processes: killed, drained, frozen."""

from __future__ import annotations

import signal
import time

from tests.faults.frame import Run, Scenario

KILL_EVERY, FREEZE_EVERY, DRAIN_EVERY = 2.0, 6.0, 10.0
GRACE = 30.0


def nothing(run: Run) -> None:
    """No fault: the figures that the others are held against."""
    while not run.load.is_submitted.is_set():
        run.wait(1)


def kill(run: Run) -> None:
    """SIGKILL the process group of a node that holds work, and start it again."""
    while not run.is_over:
        node = run.busy_node()
        if node is None:
            continue
        run.down.append(node)
        run.stack.kill(node)
        run.fault("SIGKILL", node)
        run.stack.start_again(node)
        run.wait(KILL_EVERY)


def freeze(run: Run) -> None:
    """SIGSTOP a node that holds work for one to three leases, then let it go on as if nothing had been."""
    while not run.is_over:
        node = run.busy_node()
        if node is None:
            continue
        run.stack.signal(node, signal.SIGSTOP)
        run.fault("SIGSTOP", node)
        try:
            time.sleep(run.random.uniform(1, 3) * run.lease)
        finally:
            run.stack.signal(node, signal.SIGCONT)
        run.wait(FREEZE_EVERY - run.lease)


SCENARIOS = (
    Scenario("F00", "no fault", "the load alone", 0, nothing, least=0),
    Scenario("F01", "worker SIGKILL", "process group of one of 3 nodes that holds work, every 2 s", 60, kill),
    Scenario("F04", "freeze", "SIGSTOP for 1 to 3 leases, then SIGCONT", 15, freeze),
)
