"""Keeps the leases of what this process holds, and tells the holder when one is lost or a stop was asked for.

A helper thread renews every third of the lease with the guard of the fence. When a renewal finds nothing, or the
database has not answered for two thirds of the lease, the call is cancelled (EXECUTION-SEMANTICS 6.6).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import Error, close_old_connections, connection

from executions import statements

log = logging.getLogger(__name__)

#: how often a holder learns of a stop; renewing that often costs one statement a process
LOOK_EVERY = 2.0


@dataclass
class Holding:
    """A lease held here. ``good_until`` is on this machine's monotonic clock."""

    step_run: UUID
    fence: int
    good_until: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    why: str = ""

    def has_time_left(self) -> bool:
        return not self.cancelled.is_set() and time.monotonic() < self.good_until

    def cancel(self, why: str) -> None:
        self.why = why
        self.cancelled.set()


class LeaseKeeper:
    """One a process; its thread runs while something is held."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[UUID, Holding] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, step_run: UUID, fence: int) -> Iterator[Holding]:
        holding = Holding(step_run, fence, time.monotonic() + settings.SALLYPORT_LEASE.total_seconds())
        with self._changed:
            self._held[step_run] = holding
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield holding
        finally:
            with self._changed:
                self._held.pop(step_run, None)

    def _keep(self) -> None:
        lease = settings.SALLYPORT_LEASE.total_seconds()
        pause = min(lease / 3, LOOK_EVERY)
        while True:
            with self._changed:
                while not self._held:
                    connection.close()
                    self._changed.wait()
                self._changed.wait(pause)
                held = list(self._held.values())
            if held:
                self._renew(held, lease)

    def _renew(self, held: list[Holding], lease: float) -> None:
        asked = time.monotonic()
        try:
            close_old_connections()
            renewed = statements.renew([(h.step_run, h.fence) for h in held], lease=settings.SALLYPORT_LEASE)
        except Error:
            log.warning("leases.not_renewed", exc_info=True)
            connection.close()
            for holding in held:
                if holding.good_until - time.monotonic() < lease / 3:
                    holding.cancel("the database does not answer")
            return
        for holding in held:
            if holding.step_run not in renewed:
                holding.cancel("the lease is lost")
            elif renewed[holding.step_run]:
                holding.cancel("the execution is stopping")
            else:
                holding.good_until = asked + lease


keeper = LeaseKeeper()
