"""Partitions, bad targets, and streams whose connections are cut."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tests.faults.frame import Run, Scenario
from tests.faults.nodes import LOOPBACK, Shape
from tests.faults.proxy import Proxy
from tests.faults.scenarios.database import never_500

if TYPE_CHECKING:
    from tests.faults.evidence import Evidence
    from tests.faults.shapes import Mix
    from tests.faults.verdict import Verdict, Violation

LINKS = (("postgres", "worker"), ("valkey", "worker"), ("ledger", "worker"), ("postgres", "api"), ("valkey", "api"))
MANNERS = ("silent", "silent up", "silent down", "refused", "flapping")


def put_between(run: Run) -> None:
    own = {"postgres": run.stack.postgres_port, "valkey": run.stack.valkey_port, "ledger": run.stack.ledger_port}
    for server, role in LINKS:
        proxy = Proxy(own[server])
        run.proxies.append(proxy)
        run.stack.ports[server, role] = proxy.port


def part(run: Run) -> None:
    """One link at a time is silent, one way or both, or refuses, or comes and goes, for up to four leases."""
    turn = 0
    while not run.is_over:
        link, manner = turn % len(LINKS), MANNERS[(turn + turn // len(LINKS)) % len(MANNERS)]
        turn += 1
        proxy, (server, role) = run.proxies[link], LINKS[link]
        seconds = run.random.uniform(1, 4) * run.lease
        run.fault(f"{role}-{server}", recovers="")
        _break(proxy, manner, seconds)
        proxy.let_flow()
        run.notes.setdefault("manners", {}).setdefault(manner, 0)
        run.notes["manners"][manner] += 1
        run.wait(2)


def _break(proxy: Proxy, manner: str, seconds: float) -> None:
    if manner == "refused":
        proxy.refuse()
    elif manner != "flapping":
        proxy.stop_flow(*manner.split()[1:])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if manner == "flapping":
            proxy.reset()
        time.sleep(0.5)


def let_flow(run: Run) -> None:
    for proxy in run.proxies:
        proxy.let_flow()


# --- a bad far side ---

BAD = ("cut", "cut-before", "err-after", "err-before", "no", "429:1", "half", "huge", "redirect", "silent", "drip")


def bad_mix() -> Mix:
    """Executions of one step, so that one that nobody knows of keeps no other from being tried."""
    from tests.faults.shapes import Mix

    kinds = {"keyed": 30, "idempotent": 20, "probe": 20, "unsafe": 30}
    return Mix(kinds=kinds, modes={**dict.fromkeys(BAD, 8), "ok": 6, "slow:300": 6}, steps=1, is_structured=False)


def count_answers(run: Run) -> None:
    from tests.faults.evidence import read_ledger

    while not run.is_over:
        run.wait(1)
        bad = [line for line in read_ledger(run.stack.ledger_file) if line.mode in BAD]
        for line in bad[len(run.faults) :]:
            run.fault(line.mode, recovers="", at=line.wall)


#: (unsafe, mode) -> how the step must end; what the far side said clearly is no question, what it did not say is one
UNSAFE_ENDS = {
    "no": ("failed",), "redirect": ("failed",), "err-before": ("failed",), "err-after": ("failed",),
    "cut": ("uncertain",), "cut-before": ("uncertain",), "silent": ("uncertain",), "drip": ("uncertain",),
    "half": ("uncertain", "failed"), "huge": ("failed", "uncertain"),
}  # fmt: skip


def table_holds(run: Run, found: Evidence, _: Verdict) -> Iterator[Violation]:
    """What follows a try is as docs/execution.md says, for each class and each way to answer."""
    from tests.faults.verdict import Violation, class_of

    lines = found.by_step(found.lines)
    reviews = found.by_step(found.reviews)
    counted: dict[str, int] = defaultdict(int)
    for step in found.steps:
        mine = lines.get(step.id)
        if not mine or mine[0].mode not in BAD:
            continue
        kind, mode = class_of(step.step_id), mine[0].mode
        counted[f"{kind} {mode}"] += 1
        told = f"{kind} {mode}: {step.status} after {len(mine)} requests"
        if mode in ("no", "redirect") and (step.status != "failed" or len(mine) != 1 or reviews.get(step.id)):
            yield Violation("table", "-", step.id, f"{told}; a clear no fails at once, without a review")
        if kind == "unsafe" and mode in UNSAFE_ENDS and (step.status not in UNSAFE_ENDS[mode] or len(mine) != 1):
            yield Violation("table", "-", step.id, f"{told}; not {' or '.join(UNSAFE_ENDS[mode])} after one")
        if kind in ("keyed", "idempotent") and mode in ("cut", "err-after") and step.status != "completed":
            yield Violation("table", "-", step.id, f"{told}; a key that is known again completes it")
        if kind == "probe" and mode in ("cut", "err-after") and (step.status != "completed" or len(mine) != 1):
            yield Violation("table", "-", step.id, f"{told}; asking finds it there")
    run.notes["cells"] = dict(sorted(counted.items()))


# --- streams ---

CLIENTS = 100


class Watchers:
    """Clients that follow executions, lose their connection at random, and come back with their last ``seq``."""

    def __init__(self, run: Run, clients: int) -> None:
        self.run, self.clients = run, clients
        self.seen: dict[str, list[int]] = {}  # execution -> what one client was sent, in its order
        self.closed: set[str] = set()
        self.cuts = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._all()), name="watchers", daemon=True)

    async def _all(self) -> None:
        await asyncio.gather(*(self._watch(number) for number in range(self.clients)))

    async def _watch(self, number: int) -> None:
        while not self.stop.is_set():
            taken = self.run.load.take_unwatched()
            if taken is None:
                await asyncio.sleep(0.2)
                continue
            execution, key = taken
            self.seen[execution] = []
            while execution not in self.closed and not (self.stop.is_set() and await self._has_had_time()):
                await self._follow(execution, key, number)

    async def _has_had_time(self) -> bool:
        return time.monotonic() > self.give_up_at

    give_up_at = float("inf")

    async def _follow(self, execution: str, key: str, number: int) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        seen = self.seen[execution]
        port = self.run.stack.port_for_api(number + len(seen))
        url = f"ws://{LOOPBACK}:{port}/ws/executions/{execution}?after={seen[-1] if seen else 0}"
        patience = self.run.random.uniform(0.2, 4) if not self.stop.is_set() else 10.0
        try:
            async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None) as client:
                try:
                    async with asyncio.timeout(patience):
                        while True:
                            seen.append(int(json.loads(await client.recv())["seq"]))
                except TimeoutError:
                    self.cuts += 1
                    client.transport.abort()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == 1000:
                self.closed.add(execution)
            else:
                await asyncio.sleep(0.2)
        except (OSError, InvalidHandshake, TimeoutError):
            await asyncio.sleep(0.2)


def cut_streams(run: Run) -> None:
    """Clients cut themselves off all the time; every few seconds the channel layer is wiped or an API server killed."""
    watchers = Watchers(run, min(CLIENTS, max(10, run.runs // 5)))
    run.notes["_watchers"] = watchers
    watchers.thread.start()
    turn, next_at, cuts = 0, time.monotonic() + 3, 0
    while not run.is_over:
        for _ in range(watchers.cuts - cuts):
            run.fault("client cut", recovers="")
            cuts += 1
        if time.monotonic() >= next_at:
            _hit_server(run, turn)
            turn, next_at = turn + 1, time.monotonic() + 5
        time.sleep(0.1)


def _hit_server(run: Run, turn: int) -> None:
    if turn % 2:
        node = run.random.choice(run.stack.children("api"))
        run.down.append(node)
        run.stack.kill(node)
        run.fault("API killed", recovers="")
        run.stack.start_again(node)
    else:
        run.stack.redis().flushall()
        redis: Any = run.stack.redis()
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        run.fault("channel layer wiped", recovers="")


def let_watch(run: Run) -> None:
    """What is being followed is followed to its end."""
    watchers: Watchers = run.notes["_watchers"]
    watchers.give_up_at = time.monotonic() + 300
    watchers.stop.set()


def sequences_equal_rows(run: Run, found: Evidence, _: Verdict) -> Iterator[Violation]:
    from tests.faults.verdict import FINAL, Violation

    watchers: Watchers = run.notes.pop("_watchers")
    watchers.give_up_at = time.monotonic() + 15
    watchers.thread.join(60)
    rows = {execution.id: execution for execution in found.executions}
    for execution, seen in watchers.seen.items():
        row = rows[execution]
        if seen != list(range(1, len(seen) + 1)):
            yield Violation("stream", "I23", execution, f"its stream had a gap or a double: {seen[:60]}")
        if row.status in FINAL and execution in watchers.closed and len(seen) > row.last_seq:
            yield Violation("stream", "I23", execution, f"{len(seen)} events were sent of {row.last_seq}")
        if row.status in FINAL and execution not in watchers.closed:
            yield Violation(
                "stream", "I23", execution, f"its stream did not come to its end: {len(seen)} of {row.last_seq}"
            )
    run.notes["streams"] = len(watchers.seen)


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        "F12", "partition",
        "worker or API from PostgreSQL, broker or target: silent one way or both, refused, flapping",
        40, part, shape=Shape(apis=2), through_api=True, links=put_between, heal=let_flow, expect=never_500,
        kinds=tuple(f"{role}-{server}" for server, role in LINKS), least=5,
    ),
    Scenario(
        "F14", "bad target", "eleven ways to answer badly, for each effect class", 1000, count_answers, mix=bad_mix,
        expect=table_holds, least=20,
    ),
    Scenario(
        "F20", "streams", "clients cut at random, channel layer wiped, API process killed", 300, cut_streams,
        shape=Shape(apis=2), heal=let_watch, expect=sequences_equal_rows, least=30,
    ),
)  # fmt: skip
