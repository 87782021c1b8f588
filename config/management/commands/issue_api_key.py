"""`manage.py issue_api_key EMAIL NAME`: make an API key and print it, once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import services as accounts
from accounts.models import User
from core.errors import DomainError


class Command(BaseCommand):
    help = "Make an API key that acts for a person, and print it. It is stored hashed and never shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="The person the key acts for.")
        parser.add_argument("name", help="What the key is for, shown in lists.")
        parser.add_argument("--scope", action="append", default=[], help="Limit it: playbooks:execute. Repeatable.")

    def handle(self, *_arguments: Any, email: str, name: str, scope: list[str], **_options: Any) -> None:
        owner = User.objects.select_related("tenant").filter(email__iexact=email, is_active=True).first()
        if owner is None or owner.tenant is None:
            raise CommandError(f"There is no active user {email} of a tenant.")
        try:
            _, key = accounts.issue_api_key(
                tenant=owner.tenant, owner=owner, name=name, scopes=scope, now=timezone.now()
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
