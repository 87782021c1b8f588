"""What an error of the database says, and how it plans what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection

#: what a database that cannot serve now raises; ask `is_away`, since a bug of ours may be an InternalError too
AWAY: Final = (OperationalError, InterfaceError, InternalError)
_READ_ONLY: Final = "25006"  # SQLSTATE read_only_sql_transaction


def is_away(error: BaseException) -> bool:
    """True where PostgreSQL cannot be reached, has no room, or takes no writes: the same again may work later."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and getattr(error.__cause__, "sqlstate", "") == _READ_ONLY


@contextmanager
def planned_anew() -> Iterator[None]:
    """Let what is asked inside be planned for the values it gets, each time.

    A prepared statement gets one plan for all values after some uses. For a list with filters that plan rests on what
    is usual: it looks through a million rows for a status that hardly any has, past the index made for just those.
    """
    connection.ensure_connection()
    own = connection.connection
    before, own.prepare_threshold = own.prepare_threshold, None
    try:
        yield
    finally:
        own.prepare_threshold = before
