"""``manage.py create_owner``: make a tenant with its administrator and print an API key, once."""

from __future__ import annotations

import getpass
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.installing import create_owner
from accounts.models import RateTier
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Make a tenant, its administrator (who may log in to the admin) and an API key, which is printed once. "
        "The password is asked for, read from a file, or generated; it is never an argument."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the administrator's e-mail address")
        parser.add_argument("--tenant", default="main", help="short name of the tenant (default: main)")
        parser.add_argument("--tenant-name", default="", help="its full name (default: the short name)")
        parser.add_argument("--rate-tier", default="standard", choices=RateTier.values)
        password = parser.add_mutually_exclusive_group()
        password.add_argument("--password-file", type=Path, help="a file whose first line is the password")
        password.add_argument("--generate-password", action="store_true", help="make one and print it")
        parser.add_argument("--json", action="store_true", help="print tenant, username, password and api_key as JSON")

    def handle(self, **options: Any) -> None:
        password = _password(options)
        try:
            owner = create_owner(
                slug=options["tenant"],
                name=options["tenant_name"] or options["tenant"],
                email=options["email"],
                password=password,
                rate_tier=options["rate_tier"],
                now=timezone.now(),
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        made = {"tenant": owner.tenant.slug, "username": owner.user.email, "api_key": owner.api_key}
        if options["generate_password"]:
            made["password"] = password
        if options["json"]:
            self.stdout.write(json.dumps(made))
            return
        for name, value in made.items():
            self.stdout.write(f"{name:<9} {value}")
        self.stdout.write("Keep these now: what is secret here is not stored and will not be shown again.")


def _password(options: dict[str, Any]) -> str:
    if options["generate_password"]:
        return secrets.token_urlsafe(18)
    if options["password_file"]:
        try:
            return str(options["password_file"].read_text(encoding="utf-8").split("\n", 1)[0])
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['password_file']} cannot be read: {error}") from None
    if not sys.stdin.isatty():
        raise CommandError("Give --password-file or --generate-password: nobody is here to be asked.")
    return getpass.getpass("Password (12 characters or more): ")
