"""manage.py emit_event: hand an event to the triggers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.selectors import tenant_for_command
from core.errors import DomainError
from core.strict_json import loads
from executions.services import take_event


class Command(BaseCommand):
    help = "Hand an event to the triggers of a tenant and print the executions that it started."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", help="for instance finding.new")
        parser.add_argument("file", help="a JSON object, the finding (or alert, scan, anomaly) itself; - reads stdin")
        parser.add_argument("--id", help="the event's id: the same id again starts nothing new (default: its `id`)")
        parser.add_argument("--tenant", help="slug of the tenant; needed where there are several")

    def handle(self, *_: Any, **options: Any) -> None:
        data = self._read(options["file"])
        event_id = options["id"] or data.get("id")
        try:
            tenant = tenant_for_command(options["tenant"])
            taken = take_event(
                tenant=tenant,
                event=options["event"],
                data=data,
                event_id=None if event_id is None else str(event_id),
                now=timezone.now(),
            )
        except DomainError as error:
            raise CommandError(error.message) from error
        for execution in taken.started:
            self.stdout.write(f"pexec-{execution.number} of {execution.playbook.name}")
        for refused in taken.refused:
            self.stderr.write(f"{refused.trigger.playbook.name} was not started: {refused.error.message}")
        if not taken.matching:
            self.stdout.write(f"No enabled playbook of {tenant.name} answers to this {options['event']}.")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            octets = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            data = loads(octets)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
        except DomainError as error:
            raise CommandError(f"{name} is no JSON that we read: {error.message}") from error
        if not isinstance(data, dict):
            raise CommandError(f"{name} holds no JSON object.")
        return data
