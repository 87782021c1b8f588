"""`manage.py connect KIND NAME --url URL`: make or update a connection."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Tenant
from accounts.selectors import get_tenant, list_tenants
from connectors import selectors
from connectors.connection_settings import RULES, secret_field
from connectors.registry import CONNECTION_KINDS
from connectors.services import SHORTEST_SECRET, notes_on, save_connection
from core.errors import DomainError, NotFound


class Command(BaseCommand):
    help = "Make a connection to an outside system, or update it. What is not given stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=CONNECTION_KINDS, help="What it speaks to.")
        parser.add_argument("name", help="How playbooks name it.")
        parser.add_argument("--url", required=True, help="Base address: https://host/path, ssh://host:port.")
        secret = parser.add_mutually_exclusive_group()
        secret.add_argument("--secret", help="Token, password or private key. Other users may see it while this runs.")
        secret.add_argument("--secret-file", help="File that holds it; '-' reads standard input.")
        parser.add_argument("--passphrase-file", help="File with the passphrase of a private key.")
        parser.add_argument(
            "--keyed",
            action="store_const",
            const=True,
            help="The far side honours the header Idempotency-Key, so that calls may be repeated.",
        )
        parser.add_argument("--user", help="Name to log on with (ssh, Jira, HTTP basic authentication).")
        parser.add_argument("--host-key", help="ssh: SHA256 fingerprint of the server's key, or a known-hosts line.")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="Another setting; docs/connectors.md has them.",
        )
        parser.add_argument("--allow-network", action="append", metavar="CIDR", help="Private network it may reach.")
        parser.add_argument("--host", action="append", help="Further host that its secret may be sent to.")
        parser.add_argument("--tenant", help="Slug of the tenant; not needed while there is only one.")

    def handle(self, *_arguments: Any, kind: str, name: str, url: str, **options: Any) -> None:
        try:
            tenant = _tenant(options["tenant"])
            is_new = not selectors.of(tenant.id).filter(name=name).exists()
            wanted = _settings(tenant, kind, name, options)
            secrets = _secrets(kind, wanted, options)
            connection = save_connection(
                tenant=tenant,
                kind=kind,
                name=name,
                url=url,
                secrets=secrets,
                settings=wanted,
                keyed=options["keyed"],
                allow_networks=options["allow_network"],
                hosts=options["host"],
                now=timezone.now(),
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        done = "Made" if is_new else "Updated"
        self.stdout.write(f"{done} connection {connection.name} ({kind}) of {tenant.slug} to {connection.url}.")
        for note in [*notes_on(connection), *_short(secrets)]:
            self.stdout.write(f"Note: {note}")


def _tenant(slug: str | None) -> Tenant:
    if slug is not None:
        return get_tenant(slug)
    tenants = list(list_tenants()[:2])
    if not tenants:
        raise NotFound("There is no tenant yet: run `manage.py up` or `manage.py install` first.")
    if len(tenants) > 1:
        raise NotFound("There are several tenants: say which with --tenant SLUG.")
    return tenants[0]


def _settings(tenant: Tenant, kind: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The stored settings with what is given now."""
    stored = selectors.of(tenant.id).filter(name=name, kind=kind).first()
    wanted = dict(stored.settings) if stored else {}
    for option, setting in (("user", "user"), ("host_key", "host_key")):
        if options[option] is not None:
            wanted[setting] = options[option]
    for text in options["set"]:
        setting, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--set takes NAME=VALUE; names for {kind}: {', '.join(sorted(RULES[kind]))}.")
        wanted[setting] = _json(value)
    return wanted


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _secrets(kind: str, wanted: dict[str, Any], options: dict[str, Any]) -> dict[str, str] | None:
    value = options["secret"]
    if options["secret_file"]:
        value = _read(options["secret_file"])
    if value is None:
        return None
    secrets = {secret_field(kind, value, wanted): value}
    if options["passphrase_file"]:
        secrets["passphrase"] = _read(options["passphrase_file"])
    return secrets


def _read(path: str) -> str:
    """Return a file's text. The line break that editors put at the end is no part of a password."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    return text if text.lstrip().startswith("-----BEGIN ") else text.removesuffix("\n").removesuffix("\r")


def _short(secrets: dict[str, str] | None) -> list[str]:
    if any(len(value) < SHORTEST_SECRET for value in (secrets or {}).values()):
        return [f"a secret of less than {SHORTEST_SECRET} characters: its outputs are stored masked as a whole."]
    return []
