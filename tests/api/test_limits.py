from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings as django_settings
from django.test import Client

from api import throttling
from api.errors import Refusal
from api.throttling import Limit, count


@pytest.fixture
def limit() -> Limit:
    return Limit("test", str(uuid4()), limit=3, burst=1, window=timedelta(seconds=60))


@pytest.fixture
def unreachable(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


def test_the_request_after_limit_and_burst_is_refused_until_the_window_ends(limit: Limit) -> None:
    standings = [count([limit]) for _ in range(4)]

    assert [standing.remaining for standing in standings if standing] == [2, 1, 0, 0]
    with pytest.raises(Refusal) as refused:
        count([limit])
    assert refused.value.headers["X-RateLimit-Limit"] == "3"
    assert refused.value.headers["X-RateLimit-Remaining"] == "0"
    assert 1 <= (refused.value.retry_after or 0) <= 61
    assert int(refused.value.headers["X-RateLimit-Reset"]) - int(time.time()) in range(55, 63)


def test_a_window_ends_and_begins_anew() -> None:
    short = Limit("test", str(uuid4()), limit=1, window=timedelta(milliseconds=80))
    count([short])
    with pytest.raises(Refusal):
        count([short])

    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            assert count([short])
            return
        except Refusal:
            time.sleep(0.01)
    pytest.fail("the window never ended")


def test_subjects_and_names_are_counted_apart(limit: Limit) -> None:
    for _ in range(4):
        count([limit])

    assert count([Limit("test", str(uuid4()), limit=3, window=limit.window)])
    assert count([Limit("other", limit.subject, limit=3, window=limit.window)])


def test_of_several_windows_the_tightest_is_told(limit: Limit) -> None:
    wide = Limit("wide", str(uuid4()), limit=1_000, window=timedelta(hours=1))

    standing = count([wide, limit])

    assert standing is not None
    assert (standing.limit, standing.remaining) == (3, 2)


def test_many_at_once_share_one_count(limit: Limit) -> None:
    def passes(_: int) -> bool:
        try:
            count([limit])
        except Refusal:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(40))) == 4


def test_a_counter_that_lost_its_expiry_gets_a_new_one(limit: Limit) -> None:
    count([limit])
    store = redis.Redis.from_url(django_settings.REDIS_URL)
    store.persist(throttling._key(limit))

    count([limit])

    assert 0 < store.pttl(throttling._key(limit)) <= 60_000


def test_without_redis_requests_pass_uncounted_and_quickly(limit: Limit, unreachable: None) -> None:
    began = time.perf_counter()

    assert [count([limit]) for _ in range(100)] == [None] * 100
    assert time.perf_counter() - began < 20


def test_answers_tell_where_the_caller_stands(client: Client, settings: Any) -> None:
    settings.SAMPLE_LIMIT = 2
    answers = [client.get("/sample") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0", "0"]
    assert {answer["X-RateLimit-Limit"] for answer in answers} == {"2"}
    assert answers[-1].json()["code"] == "rate_limited"
    wait = int(answers[-1]["Retry-After"])
    assert abs(int(answers[-1]["X-RateLimit-Reset"]) - time.time() - wait) < 2


def test_only_successes_and_429_carry_the_headers(client: Client, settings: Any) -> None:
    settings.SAMPLE_LIMIT = 100

    assert "X-RateLimit-Limit" in client.get("/sample")
    assert "X-RateLimit-Limit" not in client.get("/sample?page=0")


def test_a_dead_redis_takes_away_only_the_headers(client: Client, settings: Any, unreachable: None) -> None:
    settings.SAMPLE_LIMIT = 1
    answers = [client.get("/sample") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any("X-RateLimit-Limit" in answer for answer in answers)
