"""Commits whose answer was lost (EXECUTION-SEMANTICS 6.8)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import connection

from core.outages import DATABASE_ERRORS, is_outage
from executions.services.claiming import Work

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


def until_committed(work: Work, act: Callable[[bool], T]) -> T:
    """Do ``act(is_again)``; where the connection broke, connect anew and do it again, until the lease would be over.

    ``act`` is one transaction that first looks for the fence of ``work``, so doing it again either repeats what was
    rolled back or finds it done.
    """
    deadline = time.monotonic() + settings.SALLYPORT_LEASE.total_seconds()
    pause, is_again = FIRST_PAUSE, False
    while True:
        try:
            return act(is_again)
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            connection.close()
            if time.monotonic() + pause > deadline:
                raise
            log.warning("commit.in_doubt", extra={"step_run": str(work.run.id), "fence": work.run.fence})
            time.sleep(pause)  # the database is away: there is no event to wait for
            pause, is_again = min(pause * 2, LONGEST_PAUSE), True
