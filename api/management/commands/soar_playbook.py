"""`manage.py soar_playbook [FILE]`: store a playbook of Olorin's, which is a list of toolkits' actions."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from accounts.selectors import tenant_for_command
from api.errors import problem_of
from api.olorin import ids, translating
from core.actors import SYSTEM
from core.errors import DomainError

DEFAULT = Path(translating.__file__).parent / "fraud_response_critical.json"


class Command(BaseCommand):
    help = (
        "Store a playbook that is a list of actions of toolkits (docs/olorin.md has its form). "
        "Without a file: fraud_response_critical, which a critical anomaly starts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, default=DEFAULT, help="A JSON file.")
        parser.add_argument("--tenant", help="Slug of the tenant; not needed while there is only one.")

    def handle(self, *_arguments: Any, file: Path, tenant: str | None, **_options: Any) -> None:
        try:
            version = translating.store(
                tenant=tenant_for_command(tenant), octets=file.read_bytes(), actor=SYSTEM, now=timezone.now()
            )
        except (OSError, DomainError, ValidationError) as error:
            problem = problem_of(error)
            raise CommandError(problem.message if problem else str(error)) from error
        self.stdout.write(f"{ids.playbook_key(version.playbook.slug)}: {version.playbook.step_count} actions.")
