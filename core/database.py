"""What an error of the database says: that it cannot serve now, or that we asked for something wrong."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError

#: what a database that cannot serve now raises; ask `is_away`, since a bug of ours may be an InternalError too
AWAY: Final = (OperationalError, InterfaceError, InternalError)
_READ_ONLY: Final = "25006"  # SQLSTATE read_only_sql_transaction


def is_away(error: BaseException) -> bool:
    """True where PostgreSQL cannot be reached, has no room, or takes no writes: the same again may work later."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and getattr(error.__cause__, "sqlstate", "") == _READ_ONLY
