"""The sweep process: dispatches when woken, repairs once a second. Any number of them may run (ruling 3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from channels.layers import get_channel_layer
from django.db import Error, close_old_connections, connection

from executions import delivering, nodes
from executions.dispatching import dispatch_due
from executions.events import WAKE_GROUP
from executions.services.fin_jobs import take_back_lost
from executions.services.pruning import Pruner
from executions.services.scheduling import fire_due
from executions.services.sweeping import look_for_orphans, sweep_once, sweep_urgent
from executions.services.tidying import forget_start_keys
from executions.statistics import count_anew

log = logging.getLogger(__name__)

PERIOD = 1.0
TIDYING = 60.0
ORPHANS = 60.0
#: how long the end waits for what is being published or delivered
ENDING = 5.0


class Sweeper:
    """Runs until ``stop`` is set. Listens on the channel layer; without it, the period alone moves things on.

    Sweeping, dispatching, firing schedules, delivering and pruning have a thread each: a broker that hangs, a slow
    receiver of webhooks or a thousand schedules of midnight keep no lost step run waiting.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._sweep_woken = threading.Event()
        self._dispatch_woken = threading.Event()
        self._deliver_woken = threading.Event()
        self._schedule_woken = threading.Event()
        self._prune_woken = threading.Event()
        self._next_tidying = self._next_look = 0.0
        self.name = f"sweep@{socket.gethostname()}:{os.getpid()}"

    def end(self) -> None:
        self.stop.set()
        for woken in (
            self._sweep_woken,
            self._dispatch_woken,
            self._deliver_woken,
            self._schedule_woken,
            self._prune_woken,
        ):
            woken.set()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="wake", daemon=True).start()
        pruner = Pruner()
        others = [
            threading.Thread(target=self._keep, args=args, name=name, daemon=True)
            for name, args in (
                ("dispatch", (self._dispatch_woken, dispatch_due, dispatch_due)),
                ("schedule", (self._schedule_woken, fire_due, fire_due)),
                ("deliver", (self._deliver_woken, self._deliver, delivering.deliver_due)),
                ("prune", (self._prune_woken, pruner.go_on, pruner.go_on)),
            )
        ]
        for thread in others:
            thread.start()
        self._keep(self._sweep_woken, self._sweep, sweep_urgent)
        for thread in others:
            thread.join(ENDING)

    def _keep(self, woken: threading.Event, regular: Callable[[], object], urgent: Callable[[], object]) -> None:
        """Do ``regular`` once a period and ``urgent`` when woken, until the end, whatever goes wrong."""
        next_at = 0.0
        while not self.stop.is_set():
            woken.wait(max(next_at - time.monotonic(), 0))
            woken.clear()
            try:
                close_old_connections()
                if time.monotonic() >= next_at:
                    next_at = time.monotonic() + PERIOD
                    regular()
                else:
                    urgent()
            except Error:
                log.warning("sweep.database_away", exc_info=True)
                connection.close()
            except Exception:
                log.exception("sweep.broken")
        connection.close()

    def _sweep(self) -> None:
        nodes.beat(self.name, role="sweep", slots=0)
        if sweep_once() + take_back_lost():
            self._dispatch_woken.set()
        count_anew()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + ORPHANS
            look_for_orphans()

    def _deliver(self) -> None:
        delivering.deliver_due()
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + TIDYING
            forget_start_keys()

    def _listen(self) -> None:
        asyncio.run(self._listen_forever())

    async def _listen_forever(self) -> None:
        while not self.stop.is_set():
            try:
                await self._receive()
            except Exception:
                # The broker is away: the period goes on, and listening is tried again.
                log.warning("wake.lost", exc_info=True)
                await asyncio.sleep(PERIOD)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        channel = await layer.new_channel()
        await layer.group_add(WAKE_GROUP, channel)
        while not self.stop.is_set():
            await layer.receive(channel)
            self._sweep_woken.set()
            self._dispatch_woken.set()
