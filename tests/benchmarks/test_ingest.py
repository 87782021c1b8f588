"""W7 measures what it says, and leaves no table behind."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks import ingest


@pytest.mark.django_db(transaction=True)
def test_reporting_is_measured_beside_bare_inserts() -> None:
    said: list[str] = []

    figure = ingest.measure(rows=2_000, rounds=2, say=said.append)

    assert (figure.id, figure.least, len(figure.ours), len(figure.baseline), len(said)) == ("W7", 0.2, 2, 2, 3)
    assert all(rate > 0 for rate in (*figure.ours, *figure.baseline))
    assert ingest.COPY not in connection.introspection.table_names()
