"""`make cost`: what a step and an execution cost PostgreSQL, with how many workers and streams, and how tables grow."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.own_stack import own_stack

if TYPE_CHECKING:
    from benchmarks.counting import Counts
    from benchmarks.executions import Durable
    from config.supervisor import Supervisor

DESCRIPTION = """Count what a step costs PostgreSQL (commands, commits, WAL, rows), measure steps a second with 1 to 8
worker processes and with open streams, and how large the tables get. Uses servers of its own."""

PARTS = ("step", "workers", "streams", "history")
SHORT, LONG = 5, 25  # steps; the difference of two executions is twenty steps
EXECUTIONS = 40
IDLE = 10.0  # seconds
WORKERS = (1, 2, 4, 8)
STREAMS = (0, 10, 50)
A_PERSON = 10  # streams; a person may have 20 open
RUNS, STEPS = 100, 10
ENDED = "SELECT NOT EXISTS (SELECT 1 FROM executions_execution WHERE id = ANY(%s) AND ended_at IS NULL)"
RATE = 1_000  # steps a second of the estimate


@dataclass
class Result:
    """``text`` is Markdown for the page's place of that name, ``figures`` the same for programs."""

    text: str
    figures: Any


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 for a name that is not known."""
    parser = argparse.ArgumentParser(prog="manage.py bench --cost", description=DESCRIPTION)
    parser.add_argument("--cost", default="all", metavar="PARTS", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--history", default="10000,100000,1000000", help="executions (10000,100000,1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="of the parts that measure time (3)")
    parser.add_argument("--json", default=os.environ.get("JSON", ""), metavar="FILE")
    parser.add_argument("--write", default="", metavar="PAGE", help="put the tables into their places of this page")
    options = parser.parse_args(arguments)
    named = PARTS if options.cost in ("all", "") else options.cost.replace(",", " ").split()
    if not set(named) <= set(PARTS):
        parser.error(f"there is no {', '.join(sorted(set(named) - set(PARTS)))}; there are {', '.join(PARTS)}")
    from benchmarks.counting import SERVER

    found: dict[str, Result] = {}
    with own_stack(say=_say, workers=1, threads=8, server=SERVER) as supervisor:
        for part, result in _measured(supervisor, named, options):
            found[part] = result
            print(f"\n{result.text}", flush=True)
    _keep(found, options)
    return 0


def _measured(
    supervisor: Supervisor, named: Sequence[str], options: argparse.Namespace
) -> Iterator[tuple[str, Result]]:
    """Django is set up by now."""
    from django.db import connection

    from benchmarks.executions import Durable

    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    durable = Durable()
    durable.run_sequences(20, STEPS)  # caches, connections and plans are warm
    costs: list[Any] = []
    if "step" in named:
        result = _step(durable)
        costs.append(result.figures)
        yield "cost-step", result
    if "workers" in named:
        yield "cost-workers", _workers(supervisor, durable, options.rounds)
    if "streams" in named:
        yield "cost-streams", _streams(supervisor, durable, options.rounds)
    if "history" in named:
        from benchmarks.growth import measure

        result = measure([int(word) for word in options.history.split(",")], say=_say)
        yield "cost-history", result
        if costs:
            yield "cost-estimate", _estimate(costs[0], result.figures)


def _step(durable: Durable) -> Result:
    """Twenty steps are the difference of two executions; what the deployment does anyway is taken away."""
    import threading

    from benchmarks.counting import counted, dearest, forget

    idle = counted(lambda _: _wait(threading.Event(), IDLE))
    seconds = IDLE + 11
    taken: dict[int, Counts] = {}
    for steps in (SHORT, LONG):
        forget()
        began = time.monotonic()

        def run(counting: Any, steps: int = steps) -> None:
            started = durable.start_sequences(EXECUTIONS, steps)
            counting.wait_until_idle(ENDED, (started,))

        counts = counted(run)
        taken[steps] = (counts - idle.times((time.monotonic() - began) / seconds)).times(1 / EXECUTIONS)
        _say(f"step: counted executions of {steps} steps")
    step = (taken[LONG] - taken[SHORT]).times(1 / (LONG - SHORT))
    rest = taken[SHORT] - step.times(SHORT)
    second = idle.times(1 / seconds)
    names = ("a step", "an execution beside its steps", "a second without work")
    lines = [f"| | {' | '.join(names)} |", "|---|---|---|---|"]
    for label, read in _COUNTED:
        cells = (f"{read(counts):.3g}" for counts in (step, rest, second))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += ["", *dearest(EXECUTIONS * LONG)]
    figures = {
        name: asdict(counts) for name, counts in zip(("step", "execution", "idle"), (step, rest, second), strict=True)
    }
    return Result("\n".join(lines), figures)


_COUNTED: Sequence[tuple[str, Callable[[Counts], float]]] = (
    ("statements", lambda counts: counts.statements),
    ("round trips (with BEGIN, COMMIT and the like)", lambda counts: counts.commands),
    ("commits", lambda counts: counts.commits),
    ("WAL, KiB", lambda counts: counts.wal / 1024),
    ("rows written", lambda counts: counts.rows),
    ("of them updates that wrote every index anew", lambda counts: counts.cold),
    ("pages looked at", lambda counts: counts.pages),
    ("milliseconds in PostgreSQL", lambda counts: counts.busy),
)


def _wait(event: Any, seconds: float) -> None:
    event.wait(seconds)


def _workers(supervisor: Supervisor, durable: Durable, rounds: int) -> Result:
    from benchmarks.workers import end, until_beating
    from config import processes

    environ = processes.child_environ(port=1, demo=None)
    lines = ["| worker processes | steps/s | CPU ms/step | peak MiB |", "|---|---|---|---|"]
    figures = {}
    running = 1
    for count in WORKERS:
        more = processes.workers(count=count, threads=8, environ=environ)[running:]
        supervisor.start(*more)
        running = count
        until_beating(count)
        rate, cpu, memory = _load(supervisor, durable, rounds)
        figures[count] = {"steps_per_second": rate, "cpu_ms": cpu, "memory_mib": memory}
        lines.append(f"| {count} | {rate:.0f} | {cpu:.2f} | {memory:.0f} |")
        _say(f"workers: measured {count}")
    for child in [child for child in supervisor.children if child.service.role == "workers"][1:]:
        end(supervisor, child)
    return Result("\n".join(lines), figures)


def _load(supervisor: Supervisor, durable: Durable, rounds: int, *roles: str) -> tuple[float, float, float]:
    """Return steps a second, CPU milliseconds a step and peak MiB: the median of the rounds."""
    from benchmarks.meter import Meter

    counted = {"workers", "sweep", "postgres", "valkey", *roles}
    roots = [child.process.pid for child in supervisor.children if child.service.role in counted and child.process]
    taken = []
    durable.run_sequences(20, STEPS)
    for _ in range(rounds):
        with Meter(roots) as meter:
            durable.run_sequences(RUNS, STEPS)
        taken.append((RUNS * STEPS / meter.seconds, 1000 * meter.cpu / (RUNS * STEPS), meter.memory))
    rates, cpus, sizes = zip(*taken, strict=True)
    return statistics.median(rates), statistics.median(cpus), max(sizes)


def _streams(supervisor: Supervisor, durable: Durable, rounds: int) -> Result:
    """The same load with clients that follow everything the tenant does."""
    from accounts.services import create_user, issue_api_key
    from benchmarks.reads import start_web
    from executions.statements import database_now

    keys = []
    for number in range(-(-max(STREAMS) // A_PERSON)):
        email, now = f"{durable.tenant.slug}-{number}@example.org", database_now()
        owner = create_user(tenant=durable.tenant, email=email, password=None, role="admin", now=now)
        keys.append(issue_api_key(tenant=durable.tenant, owner=owner, name="Streams", now=now)[1])
    port = start_web(supervisor)
    lines = ["| streams | steps/s | CPU ms/step | frames/s sent |", "|---|---|---|---|"]
    figures = {}
    for count in STREAMS:
        with _followed(count, port, keys) as frames:
            began, before = time.monotonic(), sum(frames)
            rate, cpu, _ = _load(supervisor, durable, rounds, "web")
            sent = (sum(frames) - before) / (time.monotonic() - began)
        figures[count] = {"steps_per_second": rate, "cpu_ms": cpu, "frames_per_second": sent}
        lines.append(f"| {count} | {rate:.0f} | {cpu:.2f} | {sent:.0f} |")
        _say(f"streams: measured {count}")
    return Result("\n".join(lines), figures)


@contextmanager
def _followed(count: int, port: int, keys: Sequence[str]) -> Iterator[list[int]]:
    """So many websockets, each read by a thread; what is given counts the frames of each.

    Raises RuntimeError where one was closed meanwhile: what is measured then is something else.
    """
    import threading

    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    sockets = [
        connect(
            f"ws://127.0.0.1:{port}/ws/stream",
            additional_headers={"Authorization": f"Bearer {keys[number // A_PERSON]}"},
        )
        for number in range(count)
    ]
    frames = [0] * count
    closed: list[str] = []

    def read(place: int) -> None:
        try:
            for _ in sockets[place]:
                frames[place] += 1
            closed.append("in good order")
        except ConnectionClosed as error:
            closed.append(str(error))

    threads = [threading.Thread(target=read, args=(place,), daemon=True) for place in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield frames
        if closed:
            raise RuntimeError(f"{len(closed)} of {count} streams were closed: {closed[0]}")
    finally:
        for found in sockets:
            found.close()


def _estimate(step: dict[str, Any], history: dict[str, Any]) -> Result:
    """On paper: the figures above times a thousand steps a second, in executions of ten."""
    per_step, per_execution = step["step"], step["execution"]
    a_second = {name: RATE * (value + per_execution[name] / STEPS) for name, value in per_step.items()}
    octets = history["octets_per_execution"] * RATE / STEPS * 86_400
    rows = (
        ("executions of 10 steps a second", f"{RATE / STEPS:.0f}"),
        ("round trips to PostgreSQL a second", f"{a_second['commands']:,.0f}"),
        ("commits a second", f"{a_second['commits']:,.0f}"),
        ("cores busy in PostgreSQL", f"{a_second['busy'] / 1000:.1f}"),
        ("WAL, MiB a second", f"{a_second['wal'] / 2**20:.1f}"),
        ("tables and indexes, GiB a day", f"{octets / 2**30:.0f}"),
    )
    lines = [f"| at {RATE:,} steps a second | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return Result("\n".join(lines), dict(rows))


def _keep(found: dict[str, Result], options: argparse.Namespace) -> None:
    from benchmarks.page import fill

    if options.json:
        told = {name: result.figures for name, result in found.items()}
        Path(options.json).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if options.write:
        for name, result in found.items():
            fill(Path(options.write), name, result.text, command="make cost")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
