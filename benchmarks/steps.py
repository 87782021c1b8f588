"""`make bench`: a sequence of fake steps and a wide parallel, each beside bare Celery in the same run."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

from config import processes
from config.addresses import broker
from config.home import ROOT
from config.own_stack import own_stack
from config.supervisor import Service, Supervisor

DESCRIPTION = """Time a sequence of fake steps and a parallel of fake branches with a join, each durable step by step,
beside a bare Celery chain and group of the same length in the same run. With --only fairness: how long a tenant with
little work waits beside one with much. Uses servers of its own."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="manage.py bench", description=DESCRIPTION)
    parser.add_argument("--steps", type=int, default=500, help="length of the sequence (500)")
    parser.add_argument("--branches", type=int, default=100, help="width of the parallel (100)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, interleaved; medians are printed (3)")
    parser.add_argument("--only", choices=("steps", "fairness"), default="steps", help="what is measured (steps)")
    parser.add_argument("--due", type=int, default=10_000, help="fairness: due steps of the large tenant (10,000)")
    parser.add_argument("--bursts", type=int, default=10, help="fairness: bursts of ten of the small tenant (10)")
    options = parser.parse_args(arguments)
    return _fairness(options) if options.only == "fairness" else _steps(options)


def _fairness(options: argparse.Namespace) -> int:
    """Two processes with eight threads each; exit code 1 where nothing was proven."""
    with own_stack(say=_say, workers=2, threads=8, environ={"ALLOW_NETWORKS": "127.0.0.0/8"}):
        from benchmarks import fairness

        figures = fairness.measure(due=options.due, bursts=options.bursts, say=_say)
        fairness.report(figures)
    return 0 if figures["proven"] else 1


def _steps(options: argparse.Namespace) -> int:
    count = os.cpu_count() or 1
    with own_stack(say=_say, workers=count) as supervisor:
        _start_baseline(supervisor, count)
        from benchmarks import raw_celery
        from benchmarks.executions import Bench

        bench = Bench()
        _report(
            f"{options.steps} steps in sequence",
            options.steps,
            options.rounds,
            ours=lambda: bench.time_sequence(options.steps),
            raw=lambda: raw_celery.time_chain(options.steps),
        )
        _report(
            f"{options.branches} branches and a join",
            options.branches,
            options.rounds,
            ours=lambda: bench.time_parallel(options.branches),
            raw=lambda: raw_celery.time_group(options.branches),
        )
    return 0


def _report(name: str, steps: int, rounds: int, *, ours: Callable[[], float], raw: Callable[[], float]) -> None:
    """Run both in turn and print the medians and their ratio."""
    raw()
    ours()  # one of each warms caches and connections
    found: list[tuple[float, float]] = [(raw(), ours()) for _ in range(rounds)]
    baseline = statistics.median(seconds for seconds, _ in found)
    mine = statistics.median(seconds for _, seconds in found)
    ratio = statistics.median(own / base for base, own in found)
    print(f"{name}, median of {rounds} rounds")
    for label, seconds in (("bare Celery", baseline), ("Sallyport", mine)):
        print(f"  {label:12} {steps / seconds:8.0f} steps/s  {1000 * seconds / steps:7.2f} ms/step  {seconds:7.2f} s")
    print(f"  ratio        {ratio:8.2f} x the time of bare Celery", flush=True)


def _start_baseline(supervisor: Supervisor, count: int) -> None:
    raw = broker(os.environ["REDIS_URL"])
    os.environ["RAW_BROKER_URL"] = raw
    environ: dict[str, Any] = {**processes.child_environ(port=1, demo=None), "RAW_BROKER_URL": raw}
    for number in range(1, count + 1):
        command = (
            *(sys.executable, "-m", "celery", "-A", "benchmarks.raw_celery", "worker", "--pool=threads", "-c", "4"),
            *("--without-gossip", "--without-mingle", "-n", f"raw-{number}@%h", "-Q", "raw"),
        )
        service = Service(name=f"raw-{number}", role="baseline", command=command, environ=environ, popen={"cwd": ROOT})
        supervisor.start(service)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
