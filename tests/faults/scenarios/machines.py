"""Two machines: the second in a network namespace where that is allowed, else a process behind a proxy of its own.

Each has a home of its own, and nothing but PostgreSQL, the broker and the targets in common.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from config.home import ROOT
from config.supervisor import Service
from tests.faults.frame import Run, Scenario
from tests.faults.nodes import LOOPBACK, Shape, pid_of
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from config.supervisor import Child
    from tests.faults.evidence import Evidence
    from tests.faults.verdict import Verdict, Violation

SECOND = "machine-2"
#: a machine that did less than this part of the work did not share it
LEAST_SHARE = 0.1
HOST, GUEST = "10.231.7.1", "10.231.7.2"

CLAIMS = """
SELECT split_part(worker, ':', 2)::int, count(*) FROM executions_attempt GROUP BY 1
"""


def second_machine(run: Run) -> None:
    """Put the second worker on a machine of its own."""
    stack = run.stack
    stack.roles[2] = SECOND
    stack.homes[SECOND] = stack.directory / SECOND
    stack.homes[SECOND].mkdir(mode=0o700)
    with ExitStack() as made:
        is_apart = _make_namespace(made)
        stack.closing.append(made.pop_all().close)
    own = {"postgres": stack.postgres_port, "valkey": stack.valkey_port, "ledger": stack.ledger_port}
    host = HOST if is_apart else LOOPBACK
    for server, port in own.items():
        proxy = Proxy(port, host=host)
        run.proxies.append(proxy)
        if not is_apart and server != "ledger":
            stack.ports[server, SECOND] = proxy.port
    run.notes["machine 2"] = "network namespace" if is_apart else "process behind a proxy"
    if is_apart:
        stack.wrapped[2] = _inside()
        routes = [f"{port}={HOST}:{proxy.port}" for port, proxy in zip(own.values(), run.proxies, strict=True)]
        relay = (*_inside(), sys.executable, "-I", "-S", str(ROOT / "tests" / "faults" / "relay.py"), *routes)
        stack.supervisor.start(Service(name="relay", role="relay", command=relay))


def _name() -> str:
    return f"sallyport-{os.getpid()}"


def _inside() -> tuple[str, ...]:
    return ("ip", "netns", "exec", _name())


def _make_namespace(made: ExitStack) -> bool:
    """Make a network of its own, joined to this one by a pair of interfaces; False where that is not allowed."""
    name, ours, theirs = _name(), f"sp{os.getpid() % 100_000}a", f"sp{os.getpid() % 100_000}b"
    if os.geteuid() != 0 or not _run("ip", "netns", "add", name):
        return False
    made.callback(_run, "ip", "netns", "del", name)
    steps = (
        f"ip link add {ours} type veth peer name {theirs}",
        f"ip link set {theirs} netns {name}",
        f"ip address add {HOST}/30 dev {ours}",
        f"ip link set {ours} up",
        f"ip -n {name} address add {GUEST}/30 dev {theirs}",
        f"ip -n {name} link set {theirs} up",
        f"ip -n {name} link set lo up",
    )
    return all(_run(*step.split()) for step in steps)


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


def cut_off(run: Run) -> None:
    """The second machine loses PostgreSQL, the broker, then everything, each for two leases."""
    postgres, valkey, _ = run.proxies
    ways: Sequence[tuple[str, Sequence[Proxy]]] = (
        ("from PostgreSQL", (postgres,)), ("from the broker", (valkey,)), ("from everything", run.proxies),
    )  # fmt: skip
    turn = 0
    while not run.is_over:
        if not run.stack.wait_briefly(lambda: _works(run), run.lease * 4):
            continue
        kind, proxies = ways[turn % len(ways)]
        turn += 1
        run.fault(kind, _second(run), recovers="" if kind == "from the broker" else "held")
        for proxy in proxies:
            proxy.stop_flow()
        time.sleep(2 * run.lease)  # how long a machine is away is the fault itself
        let_flow(run)
        run.wait(run.lease)


def _second(run: Run) -> Child:
    return next(child for child in run.stack.children("workers") if child.service.name == "worker-2")


def _works(run: Run) -> bool:
    """The second machine holds a step run at this moment, or the load is over."""
    return run.is_over or pid_of(_second(run)) in {pid_of(child) for child in run.stack.busy_nodes()}


def let_flow(run: Run) -> None:
    for proxy in run.proxies:
        proxy.let_flow()


def both_worked(run: Run, _: Evidence, __: Verdict) -> Iterator[Violation]:
    from tests.faults.verdict import Violation

    claims: dict[int, int] = {row[0]: row[1] for row in run.stack.look(CLAIMS)}
    theirs = claims.get(pid_of(_second(run)), 0)
    share = theirs / max(sum(claims.values()), 1)
    run.notes["share of machine 2"] = round(share, 2)
    if share < LEAST_SHARE:
        yield Violation("share", "-", SECOND, f"it did {theirs} of {sum(claims.values())} attempts")


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        "F26", "two machines", "the second, on a network of its own, loses PostgreSQL, the broker, everything",
        30, cut_off, shape=Shape(nodes=2), links=second_machine, heal=let_flow, expect=both_worked,
        kinds=("from PostgreSQL", "from the broker", "from everything"),
    ),
)  # fmt: skip
