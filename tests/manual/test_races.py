"""Several answers at the same moment, with real threads and commits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from accounts.models import Tenant
from manual import services
from manual.services import Answer, RequestGone
from tests.manual.asking import NOON, actor, ask

CALLERS = 20


@pytest.mark.django_db(transaction=True)
def test_of_twenty_answers_at_once_exactly_one_counts(tenant: Tenant) -> None:
    asked = ask(tenant, out_args={})
    barrier = Barrier(CALLERS)

    def answer(number: int) -> int | None:
        try:
            barrier.wait()
            caller = actor("manual:respond", name=f"person-{number}")
            services.answer(request=asked, answer=Answer(success=bool(number % 2)), actor=caller, now=NOON)
        except RequestGone:
            return None
        finally:
            connection.close()
        return number

    with ThreadPoolExecutor(CALLERS) as pool:
        winners = [number for number in pool.map(answer, range(CALLERS)) if number is not None]

    asked.refresh_from_db()
    assert len(winners) == 1
    assert asked.answered_by == f"person-{winners[0]}"
    assert asked.answer is not None
    assert asked.answer["status"] == ("success" if winners[0] % 2 else "failure")


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_expire_each_request_once(tenant: Tenant) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    due = {ask(tenant, deadline_at=past).pk for _ in range(10)}
    barrier = Barrier(2)

    def sweep(_: int) -> list[object]:
        try:
            barrier.wait()
            return [request.pk for request in services.expire_due()]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(sweep, range(2))

    assert sorted([*first, *second], key=str) == sorted(due, key=str)
