"""A server that flushes nothing does not get slower, which is noticed, and its settings are what they were."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks.flushing import NotSlower, slow_flushes
from tests.faults.fleet import database_url


@pytest.mark.django_db(transaction=True)
def test_a_server_whose_flushes_did_not_get_slower_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url())  # of a server with fsync=off
    with pytest.raises(NotSlower, match=r"took -?0"), slow_flushes():
        pytest.fail("it was taken for slower")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('commit_delay'), current_setting('commit_siblings')")
        assert cursor.fetchone() == ("0", "5")
