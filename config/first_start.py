"""What the first development start makes: one tenant, its owner with a generated password, and an API key.

They stand in ``credentials.json`` of the home and nowhere else. Outside development nobody gets a password from
us: `manage.py install` prints a token that works once (``accounts.installing``, SEC-34).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from accounts import installing
from accounts import services as accounts
from accounts.models import Tenant, User
from accounts.permissions import ADMINISTRATORS
from config.home import write_private
from connectors.services import save_connection

TENANT, OWNER = "main", "owner@sallyport.example"
LOCK = 0x5A11_1902  # for the whole database, so that two first starts at once make one tenant


class NoOwner(Exception):
    """The tenant that `up` made has no administrator any more. The message says what to do."""


@dataclass(frozen=True)
class Credentials:
    """What ``credentials.json`` holds."""

    url: str
    tenant: str
    username: str
    password: str
    api_key: str


@transaction.atomic
def ensure_tenant(*, now: datetime, renew: bool = False) -> Tenant:
    """Return the tenant of this home, made at the first start. ``renew``: give its owner a new password and key.

    The credentials are written inside the transaction: when they cannot be, there is no tenant, and the next
    start tries again.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    tenant = Tenant.objects.order_by("created_at", "id").first()
    if tenant is None:
        password = secrets.token_urlsafe(18)
        made = installing.create_owner(
            slug=TENANT, name="Main", email=OWNER, password=password, now=now, rate_tier="enterprise"
        )
        _write(made.tenant, made.user, password, made.api_key)
        return made.tenant
    if renew:
        _renew(tenant, now=now)
    return tenant


def credentials_path() -> Path:
    return Path(settings.SALLYPORT_HOME) / "credentials.json"


def refresh_address() -> None:
    """Write the present address into the credentials: the port may be another one today."""
    path = credentials_path()
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["url"] != settings.SALLYPORT_PUBLIC_URL:
            write_private(path, json.dumps(kept | {"url": settings.SALLYPORT_PUBLIC_URL}, indent=2) + "\n")


def connect_demo(tenant: Tenant, *, now: datetime) -> None:
    """Point the connection ``demo`` at the demonstration target that `up` runs."""
    if settings.SALLYPORT_DEMO_ENDPOINT:
        url = f"http://{settings.SALLYPORT_DEMO_ENDPOINT}"
        save_connection(tenant=tenant, kind="http", name="demo", url=url, keyed=True, now=now)


def _renew(tenant: Tenant, *, now: datetime) -> None:
    people = User.objects.filter(tenant=tenant, role__in=ADMINISTRATORS, is_active=True)
    owner = people.order_by("created_at", "id").first()
    if owner is None:
        raise NoOwner("There is no active administrator. Make one with `manage.py create_owner EMAIL`.")
    password = secrets.token_urlsafe(18)
    accounts.set_password(user=owner, password=password)
    _, api_key = accounts.issue_api_key(tenant=tenant, owner=owner, name="Renewed key", now=now)
    _write(tenant, owner, password, api_key)


def _write(tenant: Tenant, owner: User, password: str, api_key: str) -> None:
    made = Credentials(
        url=settings.SALLYPORT_PUBLIC_URL,
        tenant=tenant.slug,
        username=owner.email,
        password=password,
        api_key=api_key,
    )
    write_private(credentials_path(), json.dumps(asdict(made), indent=2) + "\n")
