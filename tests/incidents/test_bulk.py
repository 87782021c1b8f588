"""Many incidents at once, and several writers at once: real commits."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Tenant
from incidents.engine.finding import Finding
from incidents.models import Incident, IncidentEvent
from incidents.services import Reported, move_incident, report_incidents
from tests.api.applylens.calls import DETECTOR
from tests.flows.starting import make_tenant
from tests.races.racing import racers


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant()


def finding(key: str) -> Finding:
    return Finding("budget", key, "sev3", f"{key} is overrun", {"overage": 1}, ("rerun_eval",), {"agent": "a"})


def report(tenant: Tenant, keys: list[str]) -> list[Reported]:
    rows = [finding(key) for key in keys]
    return report_incidents(tenant=tenant, findings=rows, actor=DETECTOR, now=timezone.now())


def test_a_thousand_take_a_handful_of_statements(tenant: Tenant) -> None:
    with CaptureQueriesContext(connection) as queries:
        report(tenant, [f"k{number}" for number in range(1_000)])

    assert len(queries) <= 8, [query["sql"][:100] for query in queries]


@contextmanager
def longest_wait() -> Iterator[list[float]]:
    """Look every 20 ms how long the longest wait for a lock has lasted so far; yields [seconds]."""
    longest, is_over = [0.0], threading.Event()

    def look() -> None:
        with connection.cursor() as cursor:
            while not is_over.wait(0.02):
                cursor.execute(
                    "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float FROM pg_locks"
                    " WHERE NOT granted"
                )
                longest[0] = max(longest[0], cursor.fetchone()[0])
        connection.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield longest
    finally:
        is_over.set()
        watcher.join()


def test_ten_thousand_with_half_of_them_repeated_by_several_writers_at_once(tenant: Tenant) -> None:
    """Each key comes twice, in another order, with four writers: each is made once.

    How long anybody waits is measured by W7 of `make bench`; here only that nobody waits for all the others.
    """
    keys = [f"k{number:05}" for number in range(5_000)] * 2
    Random(7).shuffle(keys)
    batches = [keys[start : start + 1_000] for start in range(0, 10_000, 1_000)]

    def write(batch: list[str]) -> list[Reported]:
        try:
            return report(tenant, batch)
        finally:
            connection.close()

    began = time.monotonic()
    with longest_wait() as waited, ThreadPoolExecutor(4) as pool:
        answers = [one for batch in pool.map(write, batches) for one in batch]
    spent = time.monotonic() - began

    assert Counter(one.outcome for one in answers) == {"created": 5_000, "deduplicated": 5_000}
    assert Incident.objects.filter(tenant=tenant).count() == 5_000
    by_key: dict[str, set[int | None]] = {}
    for key, one in zip([key for batch in batches for key in batch], answers, strict=True):
        by_key.setdefault(key, set()).add(one.id)
    assert all(len(ids) == 1 for ids in by_key.values())
    numbers = list(IncidentEvent.objects.filter(tenant=tenant).order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, 5_001))
    assert waited[0] < max(spent, 1), f"somebody waited {waited[0]:.2f} s; all took {spent:.2f} s"


def test_two_detectors_at_once_make_one_incident(tenant: Tenant) -> None:
    with racers(2) as both:
        for number in range(50):
            answers = both.all_at_once(partial(report, tenant, [f"INV_{number}"]))

            assert sorted(one.outcome for [one] in answers) == ["created", "deduplicated"], answers
            assert len({one.id for [one] in answers}) == 1
    assert Incident.objects.filter(tenant=tenant).count() == 50
    assert IncidentEvent.objects.filter(tenant=tenant).count() == 50


def test_lists_that_name_the_same_keys_in_other_orders_do_not_deadlock(tenant: Tenant) -> None:
    with racers(2) as both:
        for number in range(20):
            keys = [f"{number}-{index}" for index in range(100)]
            answers = both.run([partial(report, tenant, keys), partial(report, tenant, keys[::-1])])

            assert all(isinstance(one, list) for one in answers), answers
    assert Incident.objects.filter(tenant=tenant).count() == 2_000


def test_the_cap_holds_when_incidents_end_while_others_come(tenant: Tenant) -> None:
    """Four detectors and somebody who closes at once whatever is made: never more than three an hour."""

    def detect() -> int:
        made = 0
        for _ in range(10):
            [one] = report(tenant, ["INV_flapping"])
            if one.outcome == "created" and one.id is not None:
                made += 1
                for verb in ("mitigate", "close"):
                    move_incident(tenant=tenant, number=one.id, verb=verb, actor=DETECTOR, now=timezone.now())
        return made

    with racers(4) as detectors:
        made = detectors.all_at_once(detect)

    assert sum(made) == 3, made
    assert Incident.objects.filter(tenant=tenant).count() == 3
    assert IncidentEvent.objects.filter(tenant=tenant, type="incident_created").count() == 3


def test_of_two_equal_calls_at_once_one_moves_it(tenant: Tenant) -> None:
    with racers(2) as both:
        for number in range(30):
            [one] = report(tenant, [f"INV_{number}"])

            def acknowledge(incident: int = one.id or 0) -> str:
                move_incident(tenant=tenant, number=incident, verb="acknowledge", actor=DETECTOR, now=timezone.now())
                return "moved"

            answers = both.all_at_once(acknowledge)
            assert sorted(answer if isinstance(answer, str) else answer.code for answer in answers) == [
                "illegal_transition",
                "moved",
            ]
    assert IncidentEvent.objects.filter(tenant=tenant, type="incident_updated").count() == 30
