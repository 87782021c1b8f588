"""Runs what asks the database on a few threads with connections of their own, so that no stream blocks the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from django.db import close_old_connections

Answer = TypeVar("Answer")

THREADS: Final = 4

_pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="stream")


async def in_thread(work: Callable[[], Answer]) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_pool, _with_fresh_connection, work)


def _with_fresh_connection(work: Callable[[], Answer]) -> Answer:
    close_old_connections()
    try:
        return work()
    except Exception:
        close_old_connections()
        raise
