"""What the first start makes: one tenant, its owner, and the way in. Later starts find it and change nothing.

In development the owner gets a generated password and an API key, both in ``credentials.json`` of the home.
Elsewhere nobody gets a password from us: a link that works once lets the owner set one (SEC-34).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import connection, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts import services as accounts
from accounts.models import Tenant, User
from config.home import write_private
from connectors.services import save_connection

TENANT, OWNER = "default", "owner@sallyport.example"
LOCK = 0x5A11_1902  # of the whole database, so that two installations at once make one tenant


@dataclass(frozen=True)
class Credentials:
    """What ``credentials.json`` holds."""

    url: str
    tenant: str
    username: str
    password: str
    api_key: str


@dataclass(frozen=True)
class Installed:
    """``made``: whether this was the first start. ``link``: where the owner sets a password, outside development."""

    tenant: Tenant
    made: bool
    link: str = ""


@transaction.atomic
def install(*, now: datetime, renew: bool = False) -> Installed:
    """Make tenant and owner unless they are there. ``renew``: give the owner a new password and key, or link."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    tenant = Tenant.objects.order_by("created_at", "id").first()
    made = tenant is None
    if tenant is None:
        tenant = accounts.create_tenant(slug=TENANT, name="Default", now=now, rate_tier="enterprise")
        accounts.create_user(
            tenant=tenant, email=OWNER, password=None, role="admin", name="Owner", now=now,
            is_staff=True, is_superuser=True,
        )  # fmt: skip
    if not (made or renew):
        return Installed(tenant=tenant, made=False)
    owner = User.objects.get(tenant=tenant, email__iexact=OWNER)
    if settings.SALLYPORT_DEVELOPMENT:
        _give_credentials(tenant, owner, now=now)
        return Installed(tenant=tenant, made=made)
    return Installed(tenant=tenant, made=made, link=_link_for(owner))


def credentials_path() -> Path:
    return Path(settings.SALLYPORT_HOME) / "credentials.json"


def connect_demo(tenant: Tenant, *, now: datetime) -> None:
    """Point the connection ``demo`` at the demonstration target that `up` runs."""
    if settings.SALLYPORT_DEMO_ENDPOINT:
        url = f"http://{settings.SALLYPORT_DEMO_ENDPOINT}"
        save_connection(tenant=tenant, kind="http", name="demo", url=url, keyed=True, now=now)


def _give_credentials(tenant: Tenant, owner: User, *, now: datetime) -> None:
    """Write the file inside the transaction: without the file there is no tenant, so a next start tries again."""
    password = secrets.token_urlsafe(18)
    accounts.set_password(user=owner, password=password)
    _, key = accounts.issue_api_key(tenant=tenant, owner=owner, name="up", now=now)
    made = Credentials(
        url=settings.SALLYPORT_PUBLIC_URL, tenant=tenant.slug, username=owner.email, password=password, api_key=key
    )
    write_private(credentials_path(), json.dumps(asdict(made), indent=2) + "\n")


def _link_for(owner: User) -> str:
    """Return a link that is good for one new password, within PASSWORD_RESET_TIMEOUT."""
    person = urlsafe_base64_encode(force_bytes(owner.pk))
    path = reverse("set_password", kwargs={"uidb64": person, "token": default_token_generator.make_token(owner)})
    return settings.SALLYPORT_PUBLIC_URL + path
