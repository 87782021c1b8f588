"""A worker that three paths of the ledger break: its process ends, it has no memory left, its call never returns.

``celery -A tests.faults.eater_app``: only the fault suite starts it, and production code knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import resource

from config.celery import app
from connectors.base import Command, Outcome
from connectors.http.connector import HttpConnector

MEMORY = 8 * 2**30
_run = HttpConnector.run


async def _eaten(self: HttpConnector, command: Command) -> Outcome:
    match str(command.arguments.get("path", "")).rpartition("/")[2]:
        case "eat-exit":
            os._exit(66)
        case "eat-memory":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
            bytearray(2 * MEMORY)
        case "eat-time":
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass  # a client that does not let itself be stopped
    return await _run(self, command)


HttpConnector.run = _eaten  # type: ignore[method-assign]
__all__ = ["app"]
