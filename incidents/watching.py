"""What happens to incidents by itself: late steps are noted, ended actions settled, issues filed, signals
pulled, old events let go.

It runs beside the sweep, in its process (``manage.py sweep``); any number of them may run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import Error, close_old_connections, connection

from incidents.actions.ending import settle_ended
from incidents.filing import file_due
from incidents.pulling import pull_due
from incidents.services.clocks import note_late_incidents
from incidents.services.tidying import forget_old

log = logging.getLogger(__name__)

#: seconds between two looks
PERIOD: Final = 1.0
TIDYING: Final = 60.0
ENDING: Final = 5.0

#: name -> (what is done, how often). Each has a thread: a tracker that hangs keeps no clock waiting.
PASSES: Final[dict[str, tuple[Callable[[], object], float]]] = {
    "late-incidents": (note_late_incidents, PERIOD),
    "actions": (settle_ended, PERIOD),
    "issues": (file_due, PERIOD),
    "signals": (pull_due, PERIOD),
    "old-events": (forget_old, TIDYING),
}


class Watch:
    """Does every pass in its turn from ``start`` to ``end``, whatever goes wrong."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=one, name=name, daemon=True) for name, one in PASSES.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        until = time.monotonic() + ENDING
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _keep(self, act: Callable[[], object], period: float) -> None:
        while not self._stop.wait(period):
            try:
                close_old_connections()
                act()
            except Error:
                log.warning("watch.database_away", exc_info=True)
                connection.close()
            except Exception:
                log.exception("watch.broken")
        connection.close()
