"""`manage.py status`: who runs, where, and what is queued."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from kombu.exceptions import OperationalError

from config import running


class Command(BaseCommand):
    help = "Show the processes that `manage.py up` runs with this SALLYPORT_HOME, and the figures of the queue."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="For programs: pids by role, sockets, ports, queue.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        found = running.find(settings.SALLYPORT_HOME)
        if found is None:
            raise CommandError(f"`manage.py up` does not run with {settings.SALLYPORT_HOME}.")
        report = {
            **found.facts,
            "pids": found.pids(),
            "sockets": found.sockets(),
            "ports": found.ports(),
            "restarts": {process["name"]: process["restarts"] for process in found.processes},
            "queue": _queue(),
        }
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
            return
        self.stdout.write(f"{report['url']}  (home {report['home']}, process {found.up})")
        for process in found.processes:
            where = process["socket"] or (f"port {process['port']}" if process["port"] else "")
            again = f"{process['restarts']} restarts" if process["restarts"] else ""
            self.stdout.write(f"  {process['name']:<12} {process['pid']:>8}  {where}  {again}".rstrip())
        self.stdout.write("  " + ", ".join(f"{count} {name}" for name, count in report["queue"].items()))


def _queue() -> dict[str, int]:
    """Return the figures; none while a store is just starting again."""
    try:
        return running.queue_figures()
    except (DatabaseError, OperationalError) as error:
        raise CommandError(f"The queue's figures cannot be read: {error}") from error
