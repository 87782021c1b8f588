"""`make bench`: what durable steps cost beside bare Celery in the same run, and how long a small tenant waits."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from config.own_stack import own_stack

if TYPE_CHECKING:
    from benchmarks.table import Figure
    from config.supervisor import Supervisor

DESCRIPTION = """Measure durable steps beside bare Celery in the same run: IDLE the memory of a worker without work,
W1 one execution of 20 steps, W2 200 executions of 10 steps submitted at once (with CPU and memory), W3 a parallel
of 100 branches and a join; KEYED, OFF and FLUSH, W2 with steps that note an intent, with carry-on switched off, and
with flushes that take 1 ms longer; W4, how long a tenant with little work waits beside one with much; and W7,
incidents a second beside bare inserts. If they are named: W5, how long lists and reads take with much history, W6, how
many requests a second are answered, and W8, how late 500 websockets and 500 streams of server-sent events hear. Uses
servers of its own and prints a table with each bar."""

THREADS = 8
BESIDE = ("W1", "W2", "W3")
VARIANTS = ("KEYED", "OFF", "FLUSH")
USUAL = ("IDLE", *BESIDE, *VARIANTS, "W4", "W7")
#: only if they are named: a million executions take some minutes and 15 GB
READS = ("W5", "W6")
STREAMS = "W8"
ALL = (*USUAL, *READS, STREAMS)
#: more rounds of the two would take long and say no more
ROUNDS_OF_STREAMS = 3
#: clients say themselves where they come from
ENVIRON = {"ALLOW_NETWORKS": "127.0.0.0/8", "TRUSTED_PROXIES": "127.0.0.1/32"}


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 where a bar does not hold or nothing was proven, 2 for a name that is not known."""
    if any(word.partition("=")[0] == "--peers" for word in arguments):
        from benchmarks.peers.runner import main as beside_peers

        return beside_peers(arguments)
    if any(word.partition("=")[0] == "--cost" for word in arguments):
        from benchmarks.cost import main as cost

        return cost(arguments)
    parser = argparse.ArgumentParser(prog="manage.py bench", description=DESCRIPTION)
    parser.add_argument(
        "--peers", metavar="dbos,...|all", help="measure beside other systems instead: see --peers all -h"
    )
    parser.add_argument(
        "--only", default=os.environ.get("ONLY", ""), metavar="W1,W2", help=f"of {', '.join(ALL)} ({', '.join(USUAL)})"
    )
    parser.add_argument(
        "--json", default=os.environ.get("JSON", ""), metavar="FILE", help="write the figures there too"
    )
    parser.add_argument("--write", default="", metavar="PAGE", help="put the tables into their places of this page")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of W1 to W3 and the like, in turn (5)")
    parser.add_argument("--due", type=int, default=10_000, help="W4: due steps of the large tenant (10,000)")
    parser.add_argument("--bursts", type=int, default=10, help="W4: bursts of ten of the small tenant (10)")
    parser.add_argument(
        "--history", type=_numbers, default=(10_000, 1_000_000), metavar="FEW,MANY",
        help="W5: finished executions of the tenant (10000,1000000)",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=10_000, help="W7: incidents a round, in thousands (10,000)")
    parser.add_argument("--clients", type=int, default=500, help="W8: clients of each kind, at most 500 (500)")
    options = parser.parse_args(arguments)
    if options.rows < 1000 or options.rows % 1000 or not 10 < options.clients <= 500:
        parser.error("--rows are whole thousands, --clients 11 to 500")
    only = frozenset(word.upper() for word in options.only.replace(",", " ").split()) or frozenset(USUAL)
    if not only <= set(ALL):
        parser.error(f"there is no {', '.join(sorted(only - set(ALL)))}; there are {', '.join(ALL)}")
    with own_stack(say=_say, workers=2, threads=THREADS, environ=ENVIRON) as supervisor:
        figures = list(_measured(options, only, supervisor))
    from benchmarks.table import table, write_json

    print(table(figures), flush=True)
    if options.json:
        write_json(figures, options.json)
    if options.write:
        _write(figures, Path(options.write))
    return 1 if any(figure.holds is False for figure in figures) else 0


def _measured(options: argparse.Namespace, only: frozenset[str], supervisor: Supervisor) -> Iterator[Figure]:
    """Two worker processes with eight threads each; Django is set up by now."""
    from benchmarks import beside, fairness, idle, ingest, reads, streams, variants

    if "IDLE" in only:
        yield idle.measure(supervisor, threads=THREADS, say=_say)
    if only & set(BESIDE):
        yield from beside.measure(supervisor, only=only, rounds=options.rounds, say=_say)
    if only & set(VARIANTS):
        yield from variants.measure(supervisor, only=only, threads=THREADS, rounds=options.rounds, say=_say)
    if "W4" in only:
        yield fairness.measure(due=options.due, bursts=options.bursts, say=_say)
    if "W7" in only:
        yield ingest.measure(rows=options.rows, rounds=options.rounds, say=_say)
    if STREAMS in only:
        rounds = min(options.rounds, ROUNDS_OF_STREAMS)
        yield from streams.measure(supervisor, clients=options.clients, rounds=rounds, say=_say)
    if only & set(READS):
        yield from reads.measure(supervisor, only=only, histories=options.history, rounds=options.rounds, say=_say)


def _write(figures: Sequence[Figure], page: Path) -> None:
    from benchmarks.page import fill
    from benchmarks.table import table

    places: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        places.setdefault(_place(figure), []).append(figure)
    for (name, command), some in places.items():
        fill(page, name, table(some), command=command)


def _place(figure: Figure) -> tuple[str, str]:
    """Where a figure stands on the page, and the command that measures what stands there."""
    if figure.id.startswith(READS):
        return "reads", "make bench-reads"
    if figure.id.startswith(STREAMS):
        return "streams", "make bench-streams"
    return ("incidents" if figure.id == "W7" else "steps"), "make bench"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(word) for word in text.split(",")))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
