"""Faults of PostgreSQL and of the way to it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import psycopg

from tests.faults.frame import Run, Scenario
from tests.faults.nodes import Row, Shape
from tests.faults.proxy import PostgresProxy

if TYPE_CHECKING:
    from tests.faults.evidence import Evidence
    from tests.faults.verdict import Verdict, Violation

STOP_EVERY, STRAIN_EVERY = 8.0, 4.0
TERMINATIONS_A_SECOND = 20
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> 'harness'
 ORDER BY random() LIMIT 1
"""


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


def terminate(run: Run) -> None:
    """End sessions at random, twenty a second."""
    while not run.is_over:
        try:
            found = run.stack.look(TERMINATE)
        except psycopg.Error:
            continue
        if found:
            run.fault("terminated", recovers="")
        time.sleep(1 / TERMINATIONS_A_SECOND)


def never_500(run: Run, _: Evidence, __: Verdict) -> Iterator[Violation]:
    """A caller is told to come back, or loses the connection; a fault is never called a bug of ours."""
    from tests.faults.verdict import Violation

    run.notes["api_statuses"] = {str(status): count for status, count in sorted(run.load.statuses.items())}
    for status, count in run.load.statuses.items():
        if status >= 500 and status != 503:
            yield Violation("status", "-", "api", f"{count} starts were answered with {status}")


# --- the answer to COMMIT is lost ---

KINDS = ("start", "claim", "intent", "record", "answer", "cancel", "sweep")


def kind_of(application: str, statements: list[str]) -> str:
    """Name a transaction by who made it and what it wrote."""
    text = " ".join(statements)
    if application == "worker":
        for mark, kind in (
            ("tries = tries +", "record"),
            ("tries = s.tries +", "record"),  # and what follows, in one statement
            ("SET intent_fence", "intent"),
            ("fence = s.fence + 1", "claim"),
            ("fence = n.fence + 1", "claim"),
        ):
            if mark in text:
                return kind
    if application == "sweep" and "UPDATE executions_execution" in text:
        return "sweep"
    if application == "driver":
        for mark, kind in (("INSERT INTO executions_execution (", "start"), ('UPDATE "manual_manualrequest"', "answer"),
                           ("UPDATE executions_execution", "cancel")):  # fmt: skip
            if mark in text:
                return kind
    return ""


def put_between(run: Run) -> None:
    proxy = PostgresProxy(run.stack.postgres_port, kind_of)
    run.proxies.append(proxy)
    for role in ("worker", "sweep", "driver"):
        run.stack.ports["postgres", role] = proxy.port


def cut_commits(run: Run) -> None:
    """Let commits lose their way there or their answer, of each kind of transaction; cancel something now and then."""
    [proxy] = run.proxies
    assert isinstance(proxy, PostgresProxy)
    proxy.cuts.chance = 0.3
    seen: Counter[tuple[str, str]] = Counter()
    while not run.is_over:
        run.load.cancel_one()
        for (kind, side), count in list(proxy.cuts.done.items()):
            for _ in range(count - seen[kind, side]):
                run.fault(kind, recovers="")
            seen[kind, side] = count
        run.wait(0.3)
    run.notes["cuts"] = {f"{kind} {side}": count for (kind, side), count in sorted(seen.items())}


def stop_cutting(run: Run) -> None:
    for proxy in run.proxies:
        if isinstance(proxy, PostgresProxy):
            proxy.cuts.chance = 0.0
        proxy.let_flow()


def both_sides(run: Run, _: Evidence, __: Verdict) -> Iterator[Violation]:
    from tests.faults.verdict import Violation

    sides = Counter(name.rpartition(" ")[2] for name, count in run.notes["cuts"].items() for _ in range(count))
    for side in ("before", "after"):
        if sides[side] < 0.4 * sides.total():
            yield Violation("sides", "I10", side, f"{sides[side]} of {sides.total()} cuts were {side} the commit")


# --- read-only, full, locked, out of connections ---


def _read_only(run: Run) -> None:
    run.stack.look("ALTER SYSTEM SET default_transaction_read_only = on")
    run.stack.look("SELECT pg_reload_conf()")
    time.sleep(run.lease)
    run.stack.look("ALTER SYSTEM RESET default_transaction_read_only")
    run.stack.look("SELECT pg_reload_conf()")


def _full(run: Run) -> None:
    """Take away the room of the data directory, which is a file system of its own; PostgreSQL may end over it."""
    told = run.stack.log("postgres").count(NO_SPACE)
    try:
        run.stack.fill_data()
        time.sleep(run.lease)
    finally:
        run.stack.empty_data()
    [server] = run.stack.children("postgres")
    if not server.is_running:
        run.stack.start_again(server)
    if run.stack.log("postgres").count(NO_SPACE) == told:
        raise OSError("PostgreSQL needed no room meanwhile")


def _locked(run: Run) -> None:
    """A session locks executions that are under way, for as long as six leases."""
    with run.stack.connect("locker") as session, session.transaction():
        session.execute("SELECT id FROM executions_execution WHERE ended_at IS NULL LIMIT 20 FOR UPDATE SKIP LOCKED")
        time.sleep(run.random.uniform(1, 6) * run.lease)


def _no_connections(run: Run) -> None:
    taken: list[psycopg.Connection[Row]] = []
    try:
        while len(taken) < 300:
            taken.append(run.stack.connect("greedy"))
    except psycopg.OperationalError:
        pass  # that is the point
    try:
        time.sleep(run.lease)
    finally:
        for session in taken:
            session.close()


NO_SPACE = "No space left on device"
STRAINS: dict[str, Callable[[Run], None]] = {
    "read-only": _read_only,
    "full": _full,
    "locked": _locked,
    "no connections": _no_connections,
}


def strain(run: Run) -> None:
    """One kind after the other; a kind that cannot be brought about here is left out, and the minimum says so."""
    turn = 0
    while not run.is_over:
        kind = list(STRAINS)[turn % len(STRAINS)]
        turn += 1
        at = time.time()
        try:
            STRAINS[kind](run)
        except (psycopg.Error, OSError) as error:
            run.say(f"F09: {kind} did not come about: {error}")
            run.wait(1)
            continue
        run.fault(kind, recovers="", at=at)
        run.wait(STRAIN_EVERY)


def relieve(run: Run) -> None:
    for _ in range(30):
        try:
            run.stack.look("ALTER SYSTEM RESET default_transaction_read_only")
            run.stack.look("SELECT pg_reload_conf()")
            return
        except psycopg.Error:
            time.sleep(1)


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        "F05", "PostgreSQL stops and starts", "immediate stop every 8 s, down 0 to 2 s; each third SIGKILL", 15, restart
    ),
    Scenario(
        "F06", "backends terminated", "pg_terminate_backend of random sessions, 20 a second; starts through the API",
        600, terminate, shape=Shape(apis=2), through_api=True, expect=never_500, least=30,
    ),
    Scenario(
        "F07", "answer to COMMIT lost", "a proxy cuts before COMMIT is forwarded, or after the server has committed",
        200, cut_commits, links=put_between, heal=stop_cutting, expect=both_sides, kinds=KINDS, least=14,
    ),
    Scenario(
        "F09", "PostgreSQL read-only, full, locked, out of connections",
        "each for a lease or more; starts through the API",
        12, strain, shape=Shape(apis=2, data_on_tmpfs=True), through_api=True, heal=relieve, expect=never_500,
        kinds=tuple(STRAINS), least=4,
    ),
)  # fmt: skip
