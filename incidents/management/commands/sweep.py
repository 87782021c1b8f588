"""manage.py sweep, with the watch over incidents in its process.

Django takes a command from the app that stands first in INSTALLED_APPS; there incidents stand before executions.
"""

from __future__ import annotations

from typing import Any

from executions.management.commands import sweep
from incidents.watching import Watch


class Command(sweep.Command):
    help = f"{sweep.Command.help} Watches over incidents: clocks, issues, sources of signals."

    def handle(self, *args: Any, **options: Any) -> None:
        watch = Watch()
        watch.start()
        try:
            super().handle(*args, **options)
        finally:
            watch.end()
