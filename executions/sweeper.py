"""The sweep process: dispatches when woken, repairs once a second. Any number of them may run (ruling 3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time

from channels.layers import get_channel_layer
from django.db import Error, close_old_connections, connection

from executions import delivering, nodes
from executions.dispatching import dispatch_due
from executions.events import WAKE_GROUP
from executions.services.sweeping import sweep_once, sweep_urgent

log = logging.getLogger(__name__)

PERIOD = 1.0


class Sweeper:
    """Runs until ``stop`` is set. Listens on the channel layer; without it, the period alone moves things on."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._woken = threading.Event()
        self.name = f"sweep@{socket.gethostname()}:{os.getpid()}"

    def end(self) -> None:
        self.stop.set()
        self._woken.set()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="wake", daemon=True).start()
        next_sweep = 0.0
        while not self.stop.is_set():
            self._woken.wait(max(next_sweep - time.monotonic(), 0))
            self._woken.clear()
            close_old_connections()
            try:
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + PERIOD
                    self._sweep()
                else:
                    sweep_urgent()
                    dispatch_due()
            except Error:
                log.warning("sweep.database_away", exc_info=True)
                connection.close()

    def _sweep(self) -> None:
        nodes.beat(self.name, role="sweep", slots=0)
        sweep_once()
        dispatch_due()
        delivering.deliver_due()

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
            self._woken.set()
