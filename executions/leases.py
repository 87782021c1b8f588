"""Keeps the leases of what this process holds, and tells a holder to stop: by a lost lease, a stop or a switch.

A helper thread renews every third of the lease with the guard of the fence. When a renewal finds nothing, or the
database has not answered for two thirds of the lease, the call is cancelled (EXECUTION-SEMANTICS 6.6).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import Error, close_old_connections, connection

from core import failpoints
from executions import statements

log = logging.getLogger(__name__)

#: how often a holder learns of a stop; renewing that often costs one statement a process
LOOK_EVERY = 2.0


class Holding(threading.Event):
    """A lease held here; set once the holder has to stop: its lease is lost or runs out, a stop or a switch is over it.

    ``good_until`` is on this machine's monotonic clock, counted from before the database was asked, so it is never
    later than the lease itself.
    """

    def __init__(self, step_run: UUID, fence: int, *, asked_at: float, lease: float) -> None:
        super().__init__()
        self.step_run = step_run
        self.fence = fence
        self.lease = lease
        self.good_until = asked_at + lease
        self.has_intent = False
        #: cut by a worker that ends: without an intent the step run goes back, whatever was sent
        self.is_cut = False
        self._why = ""

    @property
    def why(self) -> str:
        return self._why or "the database does not answer"

    def is_set(self) -> bool:
        """Also true when no renewal has come through for two thirds of the lease, whatever the keeper waits for."""
        return super().is_set() or self.good_until - time.monotonic() < self.lease / 3

    def has_time_left(self) -> bool:
        return not super().is_set() and time.monotonic() < self.good_until

    def cancel(self, why: str) -> None:
        self._why = why
        self.set()

    def renewed(self, asked_at: float) -> None:
        self.good_until = asked_at + self.lease

    def intended(self, asked_at: float) -> None:
        self.has_intent = True
        self.renewed(asked_at)


class LeaseKeeper:
    """One a process; its thread renews while something is held."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: by fence too: a thread that lost a lease may still be at work when another one here claims anew
        self._held: dict[tuple[UUID, int], Holding] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, step_run: UUID, fence: int, *, asked_at: float) -> Iterator[Holding]:
        """Renew the lease until the block ends. ``asked_at``: ``time.monotonic()`` from before the claim was sent."""
        holding = Holding(step_run, fence, asked_at=asked_at, lease=settings.SALLYPORT_LEASE.total_seconds())
        with self._changed:
            self._held[step_run, fence] = holding
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            yield holding
        finally:
            with self._changed:
                self._held.pop((step_run, fence), None)
                if not self._held:
                    self._changed.notify_all()

    def held(self) -> list[UUID]:
        with self._changed:
            return [step_run for step_run, _ in self._held]

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing is held, at most so long; return whether nothing is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, seconds)

    def cut_what_may_be_handed_back(self) -> None:
        """End the calls that have no intent: they have no effect, so another worker may make them at once."""
        with self._changed:
            for holding in self._held.values():
                if not holding.has_intent:
                    holding.is_cut = True
                    holding.cancel("the worker ends")

    def _keep(self) -> None:
        pause = min(settings.SALLYPORT_LEASE.total_seconds() / 3, LOOK_EVERY)
        while True:
            with self._changed:
                while not self._held:
                    connection.close()
                    self._changed.wait()
            # Most steps are over before their first renewal is due: what is new is no reason to renew.
            time.sleep(pause)
            with self._changed:
                held = list(self._held.values())
            if held:
                close_old_connections()
                _renewed(held)


def _renewed(held: list[Holding]) -> None:
    try:
        renew(held)
    except Exception:
        # This thread serves every holder of the process: it outlives whatever breaks in one renewal.
        log.exception("leases.broken")


def renew(held: list[Holding]) -> None:
    """Renew leases by one statement, and tell the holders of those that are lost or whose execution stops."""
    asked_at = time.monotonic()
    try:
        failpoints.reach("during_renewal")
        renewed = statements.renew([(h.step_run, h.fence) for h in held], lease=settings.SALLYPORT_LEASE)
    except Error:
        # Each holding runs out by itself (`Holding.is_set`).
        log.warning("leases.not_renewed", exc_info=True)
        connection.close()
        return
    for holding in held:
        stopping = renewed.get((holding.step_run, holding.fence))
        if stopping is None:
            holding.cancel("the lease is lost")
        elif stopping == statements.SWITCH:
            holding.cancel("a kill switch is on")
        elif stopping:
            holding.cancel("the execution is stopping")
            failpoints.reach("during_stop_grace")
        else:
            holding.renewed(asked_at)


keeper = LeaseKeeper()
