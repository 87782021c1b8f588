"""``manage.py first_token``: print the token with which the first administrator is made, once, over the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.installing import OwnerExists, make_first_token


class Command(BaseCommand):
    help = (
        "Print a one-use token, good for 24 hours, with which the first administrator is made by "
        "POST /api/native/setup. Does nothing once there is an administrator, so it may run at every installation."
    )

    def handle(self, **options: Any) -> None:
        try:
            token = make_first_token(now=timezone.now())
        except OwnerExists:
            self.stdout.write("There is an administrator already; no token was made.")
            return
        self.stdout.write(f"First token, shown only now: {token}")
        self.stdout.write(
            "Make the first administrator with it within 24 hours:\n"
            f"curl {settings.SALLYPORT_PUBLIC_URL}/api/native/setup -H 'Content-Type: application/json' -d "
            f"""'{{"token": "{token}", "tenant": "main", "email": "you@example.org", "password": "..."}}'"""
        )
