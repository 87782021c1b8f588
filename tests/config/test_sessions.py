"""What every session with PostgreSQL is told when it begins."""

from __future__ import annotations

import pytest
from django.db import connection

from config.apps import IDLE_IN_TRANSACTION


@pytest.mark.django_db
def test_the_server_ends_a_transaction_whose_process_is_frozen() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == (IDLE_IN_TRANSACTION,)
