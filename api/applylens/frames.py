"""One subscriber's stream of server-sent events: from rows, woken by announcements."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from accounts.selectors import Caller, identify_again
from api import clock
from api.errors import Kind, Refusal
from api.stream.announcements import Announcements
from api.stream.closing import Closed
from api.stream.handshake import Visitor
from api.stream.places import Place
from api.stream.threads import in_thread
from core import strict_json
from incidents.events import stream_group
from incidents.models import IncidentEvent
from incidents.selectors import Start, events_after, start_of_stream
from incidents.timestamps import written

log = logging.getLogger("api.stream")

#: frames that are read from the rows at once
BATCH: Final = 100
#: A stream reads the rows at least so often, so that a lost announcement only delays it.
LOOK_EVERY: Final = timedelta(seconds=3)
#: A revoked credential ends its streams within 5 s (SEC-37).
CHECK_EVERY: Final = timedelta(seconds=2)
PERMISSION: Final = "incidents:read"


class Subscriber:
    """``last_seen``: the number of the last event that the client has; None: it begins with what happens next."""

    def __init__(self, caller: Caller, last_seen: int | None) -> None:
        self._caller, self._last_seen = caller, last_seen
        self._place = Place(Visitor(caller, key=""))
        self._position = 0
        self._checked_at = time.monotonic()

    def take_place(self) -> None:
        """Raises Refusal (RATE_LIMITED) when the caller or the tenant has too many streams open."""
        try:
            self._place.take()
        except Closed as full:
            raise Refusal(Kind.RATE_LIMITED, full.reason, retry_after=15) from None

    async def frames(self) -> AsyncGenerator[bytes]:
        """Yield frames until the client leaves, does not read, or may not read any more."""
        await sync_to_async(connections.close_all)()  # of the thread that let the caller in and now only waits
        try:
            async with aclosing(self._frames()) as frames:
                async for frame in frames:
                    patience = _patience()
                    try:
                        yield frame
                    finally:
                        patience.cancel()
        except (OperationalError, InterfaceError) as error:
            log.warning("A stream ends, the database does not answer: %s", type(error).__name__)
        finally:
            await asyncio.shield(in_thread(self._place.leave))

    async def _frames(self) -> AsyncGenerator[bytes]:
        tenant_id = self._caller.tenant.id
        # Announcements are heard before the rows are read: what is committed in between is announced.
        async with Announcements(stream_group(tenant_id)) as announcements:
            start = await in_thread(self._begin)
            yield _connected(start)
            spoke_at, heartbeat = time.monotonic(), settings.SALLYPORT_STREAM_HEARTBEAT.total_seconds()
            while True:
                announcements.changed.clear()
                events = await in_thread(self._read)
                if events is None:
                    return
                for event in events:
                    yield _frame(event.type, event.data, event.number)
                    spoke_at = time.monotonic()
                if len(events) == BATCH:
                    continue
                silence = heartbeat - (time.monotonic() - spoke_at)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_EVERY.total_seconds(), max(silence, 0))):
                        await announcements.changed.wait()
                if time.monotonic() - spoke_at >= heartbeat:
                    yield _frame("heartbeat", {"timestamp": written(timezone.now())})
                    spoke_at = time.monotonic()

    def _begin(self) -> Start:
        now: datetime = clock.database_now()
        start = start_of_stream(self._caller.tenant.id, last_seen=self._last_seen, now=now)
        self._position = start.number
        return start

    def _read(self) -> list[IncidentEvent] | None:
        """Return what follows; None when the caller may not read any more."""
        if time.monotonic() - self._checked_at >= CHECK_EVERY.total_seconds():
            self._checked_at = time.monotonic()
            caller = identify_again(self._caller.actor, now=clock.database_now())
            if caller is None or caller.tenant != self._caller.tenant or not caller.actor.may(PERMISSION):
                return None
            self._place.keep()
        events = events_after(self._caller.tenant.id, self._position, limit=BATCH)
        if events:
            self._position = events[-1].number
        return events


def _patience() -> asyncio.TimerHandle:
    """Cut the stream when the client does not take a frame in time; cancel the handle when it has."""
    writer = asyncio.current_task()
    assert writer is not None

    def cut() -> None:
        log.info("A stream is cut: its client does not read.")
        writer.cancel()

    return asyncio.get_running_loop().call_later(settings.SALLYPORT_STREAM_PATIENCE.total_seconds(), cut)


def _connected(start: Start) -> bytes:
    data: dict[str, Any] = {"subscriber_id": str(uuid4()), "timestamp": written(timezone.now())}
    return _frame("connected", data | ({"resync": True} if start.is_gap else {}))


def _frame(event: str, data: dict[str, Any], number: int | None = None) -> bytes:
    named = f"id: {number}\n" if number is not None else ""
    return f"event: {event}\ndata: {strict_json.dumps(data).decode()}\n{named}\n".encode()
