"""manage.py prune: delete what the tenants' policies let go."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Tenant
from accounts.selectors import get_tenant
from core.errors import DomainError
from executions.services.pruning import list_tenants_with_policy, prune

#: seconds between two lines of progress
SAY_EVERY = 2.0


class Command(BaseCommand):
    help = (
        "Delete finished executions that are older than their tenant keeps them (keep days, in the admin), with all "
        "that belongs to them. The sweep does the same little by little; this does it now. It may be ended at any "
        "time and begun again, and run beside everything else."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="slug of one tenant; all that have a policy if it is not given")
        parser.add_argument("--limit", type=int, help="executions of a tenant at most")
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError("--limit is 1 or more.")
        tenants = self._tenants(options["tenant"])
        if not tenants:
            self.stdout.write("No tenant has a policy: nothing is deleted. Set keep days in the admin, under Tenants.")
        for tenant in tenants:
            self._prune(tenant, limit=options["limit"], dry_run=options["dry_run"])

    def _tenants(self, slug: str | None) -> list[Tenant]:
        if slug is None:
            return list_tenants_with_policy()
        try:
            tenant = get_tenant(slug)
        except DomainError as error:
            raise CommandError(error.message) from error
        if tenant.keep_days is None:
            raise CommandError(f"{slug} has no policy: its executions are kept for ever. Set keep days in the admin.")
        return [tenant]

    def _prune(self, tenant: Tenant, *, limit: int | None, dry_run: bool) -> None:
        deleted: Counter[str] = Counter()
        said_at = time.monotonic()
        for step in prune(tenant, limit=limit, dry_run=dry_run):
            deleted += step
            if time.monotonic() - said_at >= SAY_EVERY:
                said_at = time.monotonic()
                self.stdout.write(f"{tenant.slug}: {deleted['executions']} executions so far")
        told = ", ".join(f"{count} {name}" for name, count in deleted.items()) or "nothing"
        words = "would go" if dry_run else "deleted"
        self.stdout.write(f"{tenant.slug}, older than {tenant.keep_days} days: {told} {words}.")
