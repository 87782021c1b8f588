"""W2 again, each time with one thing changed, beside bare Celery in turn: OFF, FLUSH, KEYED."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from benchmarks import raw_celery, workers
from benchmarks.beside import RUNS, STEPS, System
from benchmarks.executions import Durable
from benchmarks.flushing import NotSlower, slow_flushes
from benchmarks.raw_celery import RawCelery
from benchmarks.table import Figure
from config.supervisor import Supervisor


@dataclass(frozen=True)
class Variant:
    """``changed``: what is so meanwhile; ``operation``: what a step does."""

    name: str
    changed: AbstractContextManager[None]
    operation: str = "fake.read"
    least: float | None = None
    aim: float | None = None


def measure(
    supervisor: Supervisor, *, only: frozenset[str], threads: int, rounds: int, say: Callable[[str], None]
) -> Iterator[Figure]:
    raw_celery.start(supervisor)
    variants = {
        "KEYED": Variant("steps that note an intent", nullcontext(), operation="fake.keyed", aim=1.3),
        "OFF": Variant("carry-on switched off, a nudge for every step", _no_slice(supervisor, threads), least=0.45),
        "FLUSH": Variant("1 ms added to every flush", slow_flushes(), least=2.0),
    }
    for id_, variant in variants.items():
        if id_ in only:
            yield _measured(id_, variant, rounds=rounds, say=say)


def _measured(id_: str, variant: Variant, *, rounds: int, say: Callable[[str], None]) -> Figure:
    name = f"W2 with {variant.name}, steps/s"
    baseline, ours = RawCelery(), Durable(variant.operation)
    rates: dict[str, list[float]] = {baseline.name: [], ours.name: []}
    try:
        with variant.changed:
            for system in (baseline, ours):  # warm before anything counts
                system.run_sequences(20, STEPS)
            for number in range(rounds):
                for system in (baseline, ours):
                    rates[system.name].append(_rate(system))
                say(f"{id_}: round {number + 1} of {rounds}")
    except NotSlower as error:
        return Figure(id_, name, (), (), least=variant.least, aim=variant.aim, missing=str(error))
    return Figure(id_, name, rates[ours.name], rates[baseline.name], least=variant.least, aim=variant.aim)


def _rate(system: System) -> float:
    began = time.perf_counter()
    system.run_sequences(RUNS, STEPS)
    return RUNS * STEPS / (time.perf_counter() - began)


@contextmanager
def _no_slice(supervisor: Supervisor, threads: int) -> Iterator[None]:
    """Workers never carry on with an execution."""
    workers.replace(supervisor, threads=threads, SALLYPORT_SLICE="0")
    try:
        yield
    finally:
        workers.replace(supervisor, threads=threads)
