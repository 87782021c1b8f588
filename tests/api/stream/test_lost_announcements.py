"""A stream that hears no announcement is late, and tells the same (EXECUTION-SEMANTICS 15)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from executions.models import Execution
from tests.api.stream.conftest import StartServer
from tests.api.stream.serving import StreamServer, read, read_to_end
from tests.api.stream.watching import path_of, seqs_of
from tests.config.production import free_port
from tests.flows.driving import drive

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


def test_an_announced_event_is_told_at_once(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    with server.open(path_of(execution), key) as client:
        read(client, len(seqs_of(execution)))
        drive(execution)
        ended = time.monotonic()
        read_to_end(client)
    assert time.monotonic() - ended < 2.5
