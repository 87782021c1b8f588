"""The servers that tests run against."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_tests_run_on_a_real_postgresql_in_utc() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('TimeZone')")
        version, zone = cursor.fetchone()
    assert version >= 150_000
    assert zone == "UTC"


def test_tests_run_on_a_real_redis() -> None:
    import redis

    assert redis.Redis.from_url(settings.REDIS_URL).ping()
