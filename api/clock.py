"""The time at the edge: the database's, so that all processes agree. Shown and stored, never compared for leases."""

from core.clock import database_now

__all__ = ["database_now"]
