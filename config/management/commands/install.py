"""`manage.py install`: bring the database up to date and make what the first start needs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config import first_start, samples


class Command(BaseCommand):
    help = (
        "Apply migrations and prepare the first start. In development: one tenant with its owner (the credentials go "
        "to SALLYPORT_HOME/credentials.json) and the sample playbooks. Elsewhere: a token that works once, for making "
        "the first administrator. May run at every start."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--renew", action="store_true", help="Development: write new credentials for the owner.")

    def handle(self, *_arguments: Any, renew: bool = False, **_options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1, stdout=self.stdout)
        if not settings.SALLYPORT_DEVELOPMENT:
            call_command("first_token", stdout=self.stdout)
            return
        now = timezone.now()
        try:
            tenant = first_start.ensure_tenant(now=now, renew=renew)
        except first_start.NoOwner as error:
            raise CommandError(str(error)) from error
        first_start.refresh_address()
        first_start.connect_demo(tenant, now=now)
        loaded = samples.load(tenant, now=now)
        self.stdout.write(f"Sample playbooks stored: {', '.join(loaded) or 'none, they are there'}")
