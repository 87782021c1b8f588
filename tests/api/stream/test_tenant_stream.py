"""`/ws/stream`: whatever a tenant's executions do from now on, and nothing of anybody else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from accounts.models import Tenant
from executions.events import announce
from executions.models import Execution
from tests.api.stream.serving import StreamServer, read
from tests.api.stream.watching import make_key, seqs_of, start_sequence
from tests.flows.driving import drive

Start = Callable[..., Execution]


def by_execution(frames: list[dict[str, Any]]) -> dict[str, list[int]]:
    told: dict[str, list[int]] = defaultdict(list)
    for frame in frames:
        told[frame["execution_id"]].append(frame["seq"])
    return dict(told)


def test_every_event_from_the_connect_on_is_told_and_none_before(server: StreamServer, key: str, start: Start) -> None:
    ended, half = drive(start()), start()
    before = seqs_of(half)
    with server.open("/ws/stream", key) as client:
        drive(half)
        later = drive(start(steps=40))
        expected = {str(half.id): seqs_of(half)[len(before) :], str(later.id): seqs_of(later)}
        told = by_execution(read(client, sum(map(len, expected.values()))))

    assert told == expected
    assert str(ended.id) not in told


def test_a_tenant_hears_nothing_of_another_not_even_when_woken_for_it(
    server: StreamServer, tenant: Tenant, key: str, stranger: Tenant, start: Start
) -> None:
    with server.open("/ws/stream", key) as mine, server.open("/ws/stream", make_key(stranger).text) as theirs:
        foreign = drive(start_sequence(stranger))
        announce(foreign.id, tenant.id)
        own = drive(start())
        announce(own.id, stranger.id)

        assert by_execution(read(mine, len(seqs_of(own)))) == {str(own.id): seqs_of(own)}
        assert by_execution(read(theirs, len(seqs_of(foreign)))) == {str(foreign.id): seqs_of(foreign)}
        last = drive(start(steps=1))
        assert by_execution(read(mine, len(seqs_of(last)))) == {str(last.id): seqs_of(last)}


def test_it_cannot_be_resumed_and_says_so(server: StreamServer, key: str) -> None:
    code, reason = server.refusal("/ws/stream?after=3", key)
    assert (code, reason) == (4400, "This stream is live only: resume each execution by its own stream.")
