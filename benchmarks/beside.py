"""W1 to W3: durable executions beside bare Celery, in turn, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks import raw_celery
from benchmarks.executions import Durable
from benchmarks.meter import Meter
from benchmarks.raw_celery import RawCelery
from benchmarks.table import Figure
from config.supervisor import Supervisor

System = Durable | RawCelery

LENGTH, SAMPLES = 20, 15  # W1: steps of one execution, one after the other; executions a round
RUNS, STEPS = 200, 10  # W2: executions submitted at once; steps of each
BRANCHES, FANS = 100, 5  # W3: branches of one execution; executions a round


@dataclass
class Taken:
    """What a system took, one value a round: milliseconds, steps a second, milliseconds of CPU a step, MiB."""

    sequence: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    parallel: list[float] = field(default_factory=list)


def measure(
    supervisor: Supervisor, *, only: frozenset[str], rounds: int, say: Callable[[str], None]
) -> Iterable[Figure]:
    """Start the baseline's worker beside ours and measure both in turn."""
    systems: list[tuple[System, frozenset[str], Taken]] = [
        (RawCelery(), frozenset({raw_celery.ROLE, "valkey"}), Taken()),
        (Durable(), frozenset({"workers", "sweep", "postgres", "valkey"}), Taken()),
    ]
    raw_celery.start(supervisor)
    for system, _, _ in systems:  # caches and connections are warm before anything counts
        for _ in range(3):
            system.run_sequences(2, LENGTH)
        system.run_parallel(BRANCHES)
    for number in range(rounds):
        for system, roles, taken in systems:
            children = [child.process for child in supervisor.children if child.service.role in roles]
            _round(system, taken, [process.pid for process in children if process is not None], only)
            say(f"round {number + 1} of {rounds}: {system.name}")
    return _figures(systems[0][2], systems[1][2], only)


def _round(system: System, taken: Taken, roots: Iterable[int], only: frozenset[str]) -> None:
    if "W1" in only:
        taken.sequence.append(1000 * _median(lambda: system.run_sequences(1, LENGTH), SAMPLES) / LENGTH)
    if "W2" in only:
        with Meter(roots) as meter:
            system.run_sequences(RUNS, STEPS)
        taken.rate.append(RUNS * STEPS / meter.seconds)
        taken.cpu.append(1000 * meter.cpu / (RUNS * STEPS))
        taken.memory.append(meter.memory)
    if "W3" in only:
        taken.parallel.append(1000 * _median(lambda: system.run_parallel(BRANCHES), FANS))


def _median(run: Callable[[], None], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _figures(baseline: Taken, ours: Taken, only: frozenset[str]) -> Iterable[Figure]:
    if "W1" in only:
        yield Figure("W1", f"one execution of {LENGTH} steps, ms/step", ours.sequence, baseline.sequence, most=0.45)
    if "W2" in only:
        name = f"{RUNS} executions of {STEPS} steps at once"
        yield Figure("W2", f"{name}, steps/s", ours.rate, baseline.rate, least=2.0)
        yield Figure("CPU", f"{name}, CPU ms/step", ours.cpu, baseline.cpu, most=0.7)
        yield Figure("memory", f"{name}, peak MiB", ours.memory, baseline.memory)
    if "W3" in only:
        yield Figure("W3", f"{BRANCHES} branches and a join, ms", ours.parallel, baseline.parallel, most=0.6)
