"""A stream that hears no announcement is late, and tells the same (EXECUTION-SEMANTICS 15)."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis
from websockets.sync.client import ClientConnection

from config.embedded.valkey import valkey
from config.processes import is_free
from executions.events import execution_group
from executions.models import Execution
from tests.api.stream.conftest import StartServer
from tests.api.stream.serving import StreamServer, read, read_to_end
from tests.api.stream.watching import path_of, seqs_of
from tests.config.production import free_port
from tests.flows.driving import drain_once, drive

Start = Callable[..., Execution]


@pytest.mark.parametrize("loss", ["another_prefix", "no_redis"])
def test_a_stream_that_hears_no_announcement_tells_everything_within_seconds(
    start_server: StartServer, key: str, start: Start, loss: str
) -> None:
    environ = {
        "another_prefix": {"SALLYPORT_REDIS_PREFIX": "nobody-announces-here:"},
        "no_redis": {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"},
    }[loss]
    server = start_server(**environ)
    execution = start()
    with server.open(path_of(execution), key) as one, server.open("/ws/stream", key) as all_of_them:
        before = seqs_of(execution)
        read(one, len(before))
        drive(execution)
        ended = time.monotonic()
        told = read_to_end(one)
        after = seqs_of(execution)[len(before) :]
        assert (told.seqs, told.code) == (after, 1000)
        assert [frame["seq"] for frame in read(all_of_them, len(after))] == after
        assert time.monotonic() - ended < 8
    server.stop()


@dataclass
class OwnRedis:
    """A Redis of the test's own, to be stopped as the test likes."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = (valkey(durable=False).command[0], "--port", str(self.port), "--save", "")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while is_free(self.port):
            assert time.monotonic() < until
            time.sleep(0.02)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def listeners(self, execution: Execution) -> int:
        """Return how many processes listen to the announcements of an execution."""
        with Redis(port=self.port) as client:
            return sum(execution_group(execution.id).encode() in name for name in client.pubsub_channels())


@pytest.mark.slow
def test_a_redis_that_hangs_dies_and_comes_back_costs_no_event(
    start_server: StartServer, key: str, start: Start
) -> None:
    redis = OwnRedis(free_port())
    redis.start()
    try:
        server = start_server(REDIS_URL=f"redis://127.0.0.1:{redis.port}/0")
        execution = start(steps=4)
        with server.open(path_of(execution), key) as old:
            told = read(old, len(seqs_of(execution)))
            redis.freeze()
            with server.open(path_of(execution), key) as new:
                assert [frame["seq"] for frame in read(new, len(told))] == seqs_of(execution)
            told += one_step_further(execution, old)
            redis.kill()
            told += one_step_further(execution, old)
            redis.start()
            told += one_step_further(execution, old)
            wait_until_heard(redis, execution, server)
            drive(execution)
            told += read_to_end(old).frames
        assert [frame["seq"] for frame in told] == seqs_of(execution)
        assert "A stream broke" not in server.log
    finally:
        redis.kill()


def one_step_further(execution: Execution, client: ClientConnection) -> list[dict[str, Any]]:
    before = len(seqs_of(execution))
    drain_once()
    return read(client, len(seqs_of(execution)) - before)


def wait_until_heard(redis: OwnRedis, execution: Execution, server: StreamServer) -> None:
    """Wait until the server listens again on the Redis that came back."""
    until = time.monotonic() + 10
    while redis.listeners(execution) == 0:
        assert time.monotonic() < until, server.log
        time.sleep(0.1)


def test_an_announced_event_is_told_at_once(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    with server.open(path_of(execution), key) as client:
        read(client, len(seqs_of(execution)))
        drive(execution)
        ended = time.monotonic()
        read_to_end(client)
    assert time.monotonic() - ended < 2.5
