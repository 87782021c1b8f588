"""`/ws/executions/{id}`: exactly the rows, in order, whatever happens to the connection."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from executions.models import Event, Execution
from tests.api.stream.serving import LONG, StreamServer, read, read_to_end
from tests.api.stream.watching import path_of, seqs_of
from tests.flows.driving import drain_once, drive

Start = Callable[..., Execution]

CUTS = 20


def test_an_execution_is_told_from_its_first_event_to_its_last(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    with server.open(path_of(execution), key) as client:
        told_before = read(client, len(seqs_of(execution)))
        drive(execution)
        told = read_to_end(client)

    rows = Event.objects.filter(execution=execution).order_by("seq")
    frames = [*told_before, *told.frames]
    assert [(frame["seq"], frame["type"], frame["data"]) for frame in frames] == [
        (row.seq, row.type, row.data) for row in rows
    ]
    assert (told.code, told.reason) == (1000, f"The execution is completed. The last seq is {frames[-1]['seq']}.")


def test_a_frame_has_exactly_the_fields_of_the_contract(server: StreamServer, key: str, start: Start) -> None:
    execution = drive(start())
    with server.open(path_of(execution), key) as client:
        told = read_to_end(client)

    first, last = told.frames[0], told.frames[-1]
    row = Event.objects.get(execution=execution, seq=1)
    assert list(first) == ["seq", "type", "at", "execution_id", "step_run_id", "data"]
    assert first["execution_id"] == str(execution.id)
    assert first["at"] == row.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.at.microsecond // 1000:03d}Z"
    assert first["step_run_id"] == str(row.step_run_id)
    assert (last["type"], last["step_run_id"]) == ("execution.completed", None)


@pytest.mark.parametrize("form", ["{id}", "{ID}", "pexec-{number}", "{id}/"])
def test_each_form_of_the_id_names_the_execution(server: StreamServer, key: str, start: Start, form: str) -> None:
    execution = drive(start())
    name = form.format(id=execution.id, ID=str(execution.id).upper(), number=execution.number)
    with server.open(f"/ws/executions/{name}", key) as client:
        assert read_to_end(client).seqs == seqs_of(execution)


def test_a_client_that_comes_back_gets_exactly_what_it_missed(server: StreamServer, key: str, start: Start) -> None:
    execution = drive(start())
    rows = seqs_of(execution)
    for after in (0, 1, rows[-1] - 1, rows[-1]):
        with server.open(path_of(execution, after=after), key) as client:
            told = read_to_end(client)
        assert (told.seqs, told.code) == (rows[after:], 1000)


def test_more_events_than_one_batch_holds_come_whole(server: StreamServer, key: str, start: Start) -> None:
    execution = drive(start(steps=80))
    with server.open(path_of(execution), key) as client:
        told = read_to_end(client)
    assert len(told.seqs) > 200
    assert told.seqs == seqs_of(execution)


@dataclass
class CuttingClient:
    """Cuts its TCP connection again and again, and comes back with the last seq it has."""

    server: StreamServer
    path: str
    key: str
    frames: list[dict[str, Any]] = field(default_factory=list)
    frames_at_last_cut: int = 0
    failure: BaseException | None = None
    #: how many steps the run may go on; it never ends before the last cut
    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))

    def run(self) -> None:
        try:
            for number in range(CUTS):
                client = self._back()
                self.frames += read(client, 1 + number % 5)
                cut(client, with_reset=number % 2 == 0)
                self.permits.release(2)
            self.frames_at_last_cut = len(self.frames)
            self.permits.release(1000)
            with self._back() as client:
                self.frames += read_to_end(client).frames
        except BaseException as error:
            self.failure = error
            self.permits.release(1000)

    def _back(self) -> ClientConnection:
        last = self.frames[-1]["seq"] if self.frames else 0
        return self.server.open(f"{self.path}?after={last}", self.key)


def cut(client: ClientConnection, *, with_reset: bool) -> None:
    """End the TCP connection without a word: nothing of the websocket's closing handshake is sent."""
    if with_reset:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close_socket()


def test_a_client_that_is_cut_off_twenty_times_ends_with_exactly_the_rows(
    server: StreamServer, key: str, start: Start
) -> None:
    execution = start(steps=60)
    client = CuttingClient(server, path_of(execution), key)
    reading = threading.Thread(target=client.run)
    reading.start()
    while not execution.is_final and client.failure is None:
        assert client.permits.acquire(timeout=LONG)
        drain_once()
        execution.refresh_from_db()
    reading.join(LONG)

    assert client.failure is None
    assert execution.status == "completed"
    assert 0 < client.frames_at_last_cut < len(client.frames)
    assert "execution.completed" not in [frame["type"] for frame in client.frames[: client.frames_at_last_cut]]
    assert [frame["seq"] for frame in client.frames] == seqs_of(execution)


@pytest.mark.parametrize("after", ["", "-1", "abc", "1.0", "+1", "1e3", "%20", "9" * 19, str(2**70), "1&after=2"])
def test_an_after_that_is_no_seq_is_refused(server: StreamServer, key: str, start: Start, after: str) -> None:
    execution = start()
    code, reason = server.refusal(path_of(execution, after=after), key)
    assert (code, reason) == (4400, "after must be the seq of an event, a whole number from 0.")


def test_an_after_beyond_the_last_event_is_refused(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    last = seqs_of(execution)[-1]
    assert server.refusal(path_of(execution, after=last + 1), key) == (
        4400,
        f"after={last + 1} is beyond the last event, {last}.",
    )
