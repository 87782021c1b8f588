"""Tells an outage of the database from a bug of ours, whatever the driver raises it as."""

from __future__ import annotations

from typing import Final

from django.db import InterfaceError, InternalError, OperationalError

#: what an outage may be raised as; ``is_outage`` says whether one of these is one
DATABASE_ERRORS: Final = (OperationalError, InterfaceError, InternalError)
#: a server that takes no writes: a standby, or one that an operator set so. Source: PostgreSQL, Appendix A.
_READ_ONLY: Final = "25006"


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, full, out of connections or read-only, so that coming back later may help."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) == _READ_ONLY
    return isinstance(error, (OperationalError, InterfaceError))
