"""``fin.job``: the step is written down for fins to fetch, and waits for what one of them reports."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from django.db import connection

from connectors.base import Command, Outcome, OutcomeKind, failed
from connectors.fin.jobs import offer
from connectors.fin.models import FinTransport

#: one is enough: an INSERT a job
_writer: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fin-jobs")


class FinConnector:
    """The far side of a fin is a table of ours, which it asks; no worker waits for it."""

    async def run(self, command: Command) -> Outcome:
        if command.before_send is not None and not command.before_send():
            return failed("lease_lost", "The lease was over before the job was written down.", sent=False)
        await asyncio.get_running_loop().run_in_executor(_writer, _write, command)
        return Outcome(OutcomeKind.WAITING)


def _write(command: Command) -> None:
    endpoint = command.endpoint
    assert endpoint is not None
    try:
        offer(
            tenant_id=UUID(str(endpoint.settings["tenant"])),
            execution_id=UUID(command.headers["X-Execution"]),
            step_run_id=UUID(command.headers["X-Step-Run"]),
            fence=command.fence,
            transport=FinTransport(endpoint.settings["transport"]),
            capability=str(command.arguments["capability"]),
            effect=command.effect,
            body={name: command.arguments[name] for name in ("commands", "targets")},
            secrets=endpoint.secrets,
        )
    finally:
        connection.close()  # jobs are rare beside calls: no connection is kept for them
