"""Bad frames hurt only their sender; slow readers and too many streams are refused (SEC-32, BAD-INPUT Q)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Tenant
from accounts.selectors import Caller
from api.stream.closing import Closed
from api.stream.handshake import Visitor
from api.stream.places import PER_PERSON, PER_TENANT, Place
from core.actors import Actor, ActorKind
from executions.models import Event, Execution
from tests.api.stream.serving import LONG, StreamServer, read, read_to_end
from tests.api.stream.watching import make_key, path_of, seqs_of
from tests.flows.driving import drive

Start = Callable[..., Execution]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_json"),
        ("", "bad_json"),
        ("[" * 5000, "bad_json"),
        ('{"a": NaN}', "bad_json"),
        ("[]", "no_commands"),
        ('{"type": "subscribe", "channel": "*"}', "no_commands"),
        (b"\x00\xff", "not_text"),
    ],
)
def test_a_bad_frame_is_answered_and_hurts_nobody(
    server: StreamServer, key: str, start: Start, frame: str | bytes, code: str
) -> None:
    execution = start()
    with server.open(path_of(execution), key) as sender, server.open(path_of(execution), key) as other:
        before = len(seqs_of(execution))
        read(sender, before)
        sender.send(frame)
        error = json.loads(sender.recv(timeout=LONG))
        assert (error["type"], error["code"], "seq" in error) == ("error", code, False)
        drive(execution)
        assert read_to_end(sender).seqs == seqs_of(execution)[before:]
        assert read_to_end(other).seqs == seqs_of(execution)


def test_a_frame_over_64_kib_ends_its_sender_only(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    with server.open(path_of(execution), key) as sender, server.open(path_of(execution), key) as other:
        sender.send('"' + "x" * 65_536 + '"')
        assert read_to_end(sender).code == 1009
        drive(execution)
        assert read_to_end(other).seqs == seqs_of(execution)


def test_a_reader_that_takes_nothing_is_closed_and_can_resume(server: StreamServer, key: str, start: Start) -> None:
    execution = start()
    first = seqs_of(execution)[-1] + 1
    rows = [
        Event(execution=execution, seq=seq, type="note.late", at=timezone.now(), data={"text": "x" * 60_000})
        for seq in range(first, first + 400)
    ]
    Event.objects.bulk_create(rows)
    Execution.objects.filter(pk=execution.pk).update(last_seq=rows[-1].seq)

    # 24 MB, more than the buffers of both ends hold: compression would make them fit.
    with server.open(path_of(execution), key, compression=None, max_queue=1) as client:
        server.wait_for_line("closed with 4408")
        told = read_to_end(client)
    assert (told.code, told.reason) == (4408, "Too slow: events were not taken. Resume from the last seq.")
    assert 0 < len(told.seqs) < len(rows)

    with server.open(path_of(execution, after=told.seqs[-1]), key) as client:
        rest = read(client, len(seqs_of(execution)) - told.seqs[-1])
    assert [*told.seqs, *(frame["seq"] for frame in rest)] == seqs_of(execution)


def test_the_21st_stream_of_a_user_is_refused_until_one_is_closed(
    server: StreamServer, tenant: Tenant, start: Start
) -> None:
    key, colleague = make_key(tenant).text, make_key(tenant).text
    execution = start()
    with ExitStack() as stack:
        streams = [stack.enter_context(server.open("/ws/stream", key)) for _ in range(PER_PERSON)]
        assert server.refusal(path_of(execution), key) == (4429, "A user may have 20 streams open.")
        with server.open(path_of(execution), colleague) as other:
            read(other, 1)

        streams[0].close()
        until = time.monotonic() + 5
        while not is_open(server, execution, key):
            assert time.monotonic() < until


def is_open(server: StreamServer, execution: Execution, key: str) -> bool:
    with server.open(path_of(execution), key) as client:
        first = json.loads(client.recv(timeout=LONG)) if client.close_code is None else {}
    return "seq" in first


def place_of(tenant: Tenant) -> Place:
    actor = Actor(kind=ActorKind.KEY, id=str(uuid4()), name="watcher", person=uuid4())
    return Place(Visitor(Caller(tenant=tenant, actor=actor), key="a-key"))


def test_the_501st_stream_of_a_tenant_is_refused_until_one_is_left(tenant: Tenant, stranger: Tenant) -> None:
    places = [place_of(tenant) for _ in range(PER_TENANT)]
    for place in places:
        place.take()
    late = place_of(tenant)
    with pytest.raises(Closed, match="A tenant may have 500 streams open"):
        late.take()
    place_of(stranger).take()
    places[0].keep()
    places[0].leave()
    late.take()


def test_without_redis_streams_open_uncounted(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    place = place_of(tenant)
    place.take()
    place.leave()
