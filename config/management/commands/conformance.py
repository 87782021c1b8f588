"""`manage.py conformance`. manage.py calls ``config.conformance`` itself; this is what `help` lists."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand

from config.conformance import DESCRIPTION, main


class Command(BaseCommand):
    help = DESCRIPTION
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(main(argv[2:]))
