"""Long polls: waits on the event loop, and asks the database on a few threads, so that no fin holds one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar
from uuid import UUID

from channels.layers import get_channel_layer
from django.db import close_old_connections

from executions.events import tenant_group

log = logging.getLogger(__name__)

T = TypeVar("T")

#: seconds between two looks that nothing called for: announcements may be lost
LOOK_EVERY: Final = 2.0
#: seconds between two looks, however busy the tenant is
REST: Final = 0.1
THREADS: Final = 4

pool: Final = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="fins")


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, _with_fresh_connection, work)


def _with_fresh_connection(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


@asynccontextmanager
async def announcements(tenant_id: UUID) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set whenever something of the tenant changes, until the block ends."""
    changed = asyncio.Event()
    task = asyncio.create_task(_listen(tenant_id, changed))
    try:
        yield changed
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=2)


async def _listen(tenant_id: UUID, changed: asyncio.Event) -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    try:
        await layer.group_add(tenant_group(tenant_id), channel)
        while True:
            changed.set()
            await layer.receive(channel)
    except Exception as error:
        # The broker is away: looking now and then goes on.
        log.warning("fins.announcements_lost", extra={"error": type(error).__name__})
    finally:
        with suppress(Exception):
            await layer.group_discard(tenant_group(tenant_id), channel)


async def until_found(look: Callable[[], T | None], *, tenant_id: UUID, seconds: float) -> T | None:
    """Return what ``look`` finds, as soon as it finds something; None when the time is over."""
    ends_at = time.monotonic() + seconds
    async with announcements(tenant_id) as changed:
        while (left := ends_at - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(LOOK_EVERY, left))
            changed.clear()
            found = await in_thread(look)
            if found is not None:
                return found
            await asyncio.sleep(min(REST, max(ends_at - time.monotonic(), 0)))
    return None
