"""Announces that an execution has new events. The rows are the truth; an announcement only says "look again".

Losing every announcement delays a stream and a dispatch, and falsifies nothing (EXECUTION-SEMANTICS 15).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from uuid import UUID

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

#: how long announcements are gathered before they go out, so that a busy execution costs one message
GATHERING = 0.02

#: the dispatcher listens here
WAKE_GROUP = "dispatch"


def execution_group(execution_id: UUID) -> str:
    return f"execution.{execution_id}"


def tenant_group(tenant_id: UUID) -> str:
    return f"tenant.{tenant_id}"


class Announcer:
    """Sends announcements from a loop of its own, so that no caller waits for the broker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executions: dict[UUID, UUID] = {}
        self._wake = False
        self._is_scheduled = False
        self._is_away = False

    def add(self, execution_id: UUID | None, tenant_id: UUID | None, *, wake: bool, at_once: bool = True) -> None:
        with self._lock:
            if execution_id is not None and tenant_id is not None:
                self._executions[execution_id] = tenant_id
            self._wake = self._wake or wake
            if self._is_scheduled:
                return
            self._is_scheduled = True
            loop = self._running_loop()
        delay = 0.0 if wake and at_once else GATHERING
        loop.call_soon_threadsafe(lambda: loop.call_later(delay, lambda: asyncio.ensure_future(self._flush())))

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="announcer", daemon=True).start()
        return self._loop

    async def _flush(self) -> None:
        with self._lock:
            executions, self._executions = self._executions, {}
            wake, self._wake = self._wake, False
            self._is_scheduled = False
        try:
            await self._send(executions, wake=wake)
        except Exception as error:
            # The broker is away: streams catch up by seq, and the sweep publishes what is due. Said once an outage.
            if not self._is_away:
                log.warning("announcements.lost", extra={"error": f"{type(error).__name__}: {error}"})
            self._is_away = True
        else:
            self._is_away = False

    async def _send(self, executions: dict[UUID, UUID], *, wake: bool) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        if wake:
            await layer.group_send(WAKE_GROUP, {"type": "dispatch.wake"})
        for execution_id, tenant_id in executions.items():
            message = {"type": "execution.changed", "execution": str(execution_id)}
            await layer.group_send(execution_group(execution_id), message)
            await layer.group_send(tenant_group(tenant_id), message)


_announcer = Announcer()


def announce(execution_id: UUID, tenant_id: UUID, *, wake: bool = False) -> None:
    """Say that an execution changed; ``wake``: something is due, so the dispatcher looks now."""
    _announcer.add(execution_id, tenant_id, wake=wake)


def wake_dispatcher(*, at_once: bool = True) -> None:
    """Let the dispatcher look; ``at_once`` False where nothing is due that was not before, but the window has room."""
    _announcer.add(None, None, wake=True, at_once=at_once)
