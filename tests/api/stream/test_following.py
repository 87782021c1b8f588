"""The mark over a tenant's events: commits come in another order than ids, and none is lost for it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.utils import timezone

from accounts.models import Tenant
from executions.following import UNSETTLED, Mark, advanced, mark_now, tenant_events_after
from executions.models import Event, Execution
from tests.api.stream.serving import database_url
from tests.api.stream.watching import start_sequence


@pytest.fixture
def slow_writer(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A second connection, whose transactions are committed when the test says so."""
    with psycopg.connect(database_url()) as writer:
        yield writer


def write_slowly(writer: psycopg.Connection, execution: Execution, seq: int) -> None:
    writer.execute(
        "INSERT INTO executions_event (execution_id, seq, type, at, data) VALUES (%s, %s, 'note.late', now(), '{}')",
        (execution.id, seq),
    )


def write(execution: Execution, seq: int) -> None:
    Event.objects.create(execution=execution, seq=seq, type="note.late", at=timezone.now())


def read_all(tenant: Tenant, mark: Mark, *, limit: int = 100) -> tuple[list[int], Mark]:
    seqs: list[int] = []
    while True:
        events, after = tenant_events_after(tenant, mark, limit=limit)
        seqs += [event.seq for event in events]
        if after == mark:
            return seqs, mark
        mark = after


@pytest.mark.parametrize("limit", [1, 100])
def test_an_event_that_is_committed_after_one_of_a_higher_id_is_read(
    tenant: Tenant, slow_writer: psycopg.Connection, limit: int
) -> None:
    execution, other = start_sequence(tenant), start_sequence(tenant)
    mark = mark_now()
    write_slowly(slow_writer, execution, 101)
    write(other, 201)
    seqs, mark = read_all(tenant, mark, limit=limit)
    assert seqs == [201]

    slow_writer.commit()
    write(other, 202)
    seqs, mark = read_all(tenant, mark, limit=limit)
    assert seqs in ([101, 202], [202, 101])
    assert read_all(tenant, mark) == ([], mark)


def test_an_event_that_is_under_way_when_the_mark_is_taken_comes_after_it(
    tenant: Tenant, slow_writer: psycopg.Connection
) -> None:
    execution, other = start_sequence(tenant), start_sequence(tenant)
    write_slowly(slow_writer, execution, 101)
    write(other, 201)
    mark = mark_now()
    slow_writer.commit()

    assert read_all(tenant, mark)[0] == [101]


def test_what_is_rolled_back_is_never_read_and_holds_nothing_up(
    tenant: Tenant, slow_writer: psycopg.Connection
) -> None:
    execution = start_sequence(tenant)
    mark = mark_now()
    write_slowly(slow_writer, execution, 101)
    slow_writer.rollback()
    write(execution, 102)

    seqs, mark = read_all(tenant, mark)
    assert (seqs, len(mark.missing)) == ([102], 1)


def test_an_id_that_stays_missing_is_given_up_at_last() -> None:
    mark = advanced(Mark(10), [12])
    assert mark == Mark(12, frozenset({11}))
    assert advanced(mark, [12 + UNSETTLED]).missing == frozenset(range(13, 12 + UNSETTLED))
