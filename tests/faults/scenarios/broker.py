"""Faults of the broker: emptied, killed, stalled, full, put back, cut off."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from tests.faults.frame import Run, Scenario

EVERY = 4.0
POLICIES = ("allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl", "allkeys-lfu", "noeviction")


def _flush(run: Run) -> None:
    run.stack.redis().flushall()


def _kill(run: Run) -> None:
    [server] = run.stack.children("valkey")
    run.stack.signal(server, signal.SIGKILL)
    assert server.process is not None
    server.process.wait(20)
    time.sleep(1)
    run.stack.start_again(server)


def _stall(run: Run) -> None:
    redis = Redis(host="127.0.0.1", port=run.stack.valkey_port, socket_timeout=30)
    redis.execute_command("DEBUG", "SLEEP", "5")  # type: ignore[no-untyped-call]


def _fill(run: Run) -> None:
    """Take away all room under one of the policies, for two seconds: keys are evicted, or writes refused."""
    redis = run.stack.redis()
    policy = POLICIES[len(run.faults) % len(POLICIES)]
    redis.config_set("maxmemory-policy", policy)
    redis.config_set("maxmemory", "1mb")
    time.sleep(2)
    redis.config_set("maxmemory", "256mb")
    redis.config_set("maxmemory-policy", "noeviction")


def _put_back(run: Run) -> None:
    """Put back what the broker held when the faults began: doorbells that rang long ago."""
    redis = run.stack.redis()
    redis.flushall()
    for name, dump in run.notes.get("_dump", {}).items():
        redis.restore(name, 0, dump, replace=True)


def _cut(run: Run) -> None:
    """Every client loses its connection, while tasks run and slots are free."""
    redis = run.stack.redis()
    for kind in ("normal", "pubsub"):
        redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")  # type: ignore[no-untyped-call]


KINDS: dict[str, Callable[[Run], None]] = {
    "FLUSHALL": _flush,
    "SIGKILL": _kill,
    "DEBUG SLEEP 5": _stall,
    "maxmemory": _fill,
    "old dump": _put_back,
    "connections cut": _cut,
}


def lose(run: Run) -> None:
    """One kind after the other, every four seconds."""
    redis = run.stack.redis()
    run.notes["_dump"] = {name: redis.dump(name) for name in redis.keys("*")}
    turn = 0
    while not run.is_over:
        kind = list(KINDS)[turn % len(KINDS)]
        turn += 1
        at = time.time()
        try:
            KINDS[kind](run)
        except RedisError as error:
            run.say(f"F11: {kind} did not come about: {error}")
            run.wait(1)
            continue
        run.fault(kind, recovers="nudged", at=at)
        run.wait(EVERY)
    run.notes.pop("_dump", None)


SCENARIOS = (
    Scenario(
        "F11", "broker lost", "emptied, killed, stalled for 5 s, full, an old dump put back, every connection cut",
        90, lose, kinds=tuple(KINDS), least=6, ends=frozenset({"maxmemory"}),
    ),
)  # fmt: skip
