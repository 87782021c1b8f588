"""`manage.py install`: bring the database up to date and make what the first start needs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from config import first_start, samples


class Command(BaseCommand):
    help = (
        "Apply migrations and, the first time, make one tenant with its owner. Prints a link with which the owner "
        "sets a password; it works once. In development the credentials go to SALLYPORT_HOME/credentials.json."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--renew", action="store_true", help="Give the owner a new link, or new credentials.")

    def handle(self, *_arguments: Any, renew: bool = False, **_options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1, stdout=self.stdout)
        now = timezone.now()
        installed = first_start.install(now=now, renew=renew)
        if settings.SALLYPORT_DEVELOPMENT:
            first_start.connect_demo(installed.tenant, now=now)
            samples.load(installed.tenant, now=now)
        if installed.link:
            minutes = settings.PASSWORD_RESET_TIMEOUT // 60
            self.stdout.write(f"Owner {first_start.OWNER}: set a password within {minutes} minutes, once, at")
            self.stdout.write(installed.link)
            self.stdout.write("If it expires: manage.py install --renew")
