"""manage.py sweep: the dispatcher and the sweep."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from executions.sweeper import Sweeper


class Command(BaseCommand):
    help = (
        "Publish due steps to the workers and repair what was lost: leases, deadlines, timers, outgoing webhooks. "
        "Runs until it is ended; any number of them may run side by side."
    )
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        sweeper = Sweeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sweeper.end())
        sweeper.run()
