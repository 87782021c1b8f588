"""`manage.py up`. manage.py calls ``config.up`` itself, so that the supervisor is small; this is what `help` lists."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand

from config import up


class Command(BaseCommand):
    help = up.DESCRIPTION
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(up.main(argv[2:]))
