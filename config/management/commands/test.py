"""`manage.py test [pytest arguments]`. manage.py calls ``config.testing`` itself; this is what `help` lists."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from config import testing


class Command(BaseCommand):
    help = "Run all tests with pytest on PostgreSQL and Valkey of their own. Arguments are pytest's: -k, -x, a path."
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        testing.main(argv[2:])
