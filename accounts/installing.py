"""The first administrator: made by ``manage.py create_owner``, or with a token that is printed once (SEC-34)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.keys import digest_of
from accounts.models import FirstToken, Tenant, User
from accounts.permissions import ADMINISTRATORS, PLATFORM
from accounts.services import create_tenant, create_user, issue_api_key
from core.errors import Conflict, Forbidden

TOKEN_PREFIX: Final = "first_"  # noqa: S105  (a prefix, no token)
VALID_FOR: Final = timedelta(hours=24)


class OwnerExists(Conflict):
    code = "owner_exists"


class FirstTokenRefused(Forbidden):
    code = "first_token_refused"


@dataclass(frozen=True)
class Owner:
    """The first administrator of a tenant. ``api_key`` is the key's text, known only now."""

    tenant: Tenant
    user: User
    api_key: str

    def __repr__(self) -> str:
        return f"Owner({self.user.email})"


def has_owner() -> bool:
    return User.objects.filter(role__in=ADMINISTRATORS, is_active=True).exists()


@transaction.atomic
def create_owner(
    *, slug: str, name: str, email: str, password: str, now: datetime, rate_tier: str = "standard"
) -> Owner:
    """Make a tenant, its administrator, who may also use the admin, and an API key of theirs.

    The first of all runs the installation too (role platform_admin), others their tenant (role admin).
    Raises TenantExists, EmailTaken, Invalid.
    """
    tenant = create_tenant(slug=slug, name=name, rate_tier=rate_tier, now=now)
    role = "admin" if has_owner() else PLATFORM
    user = create_user(tenant=tenant, email=email, password=password, role=role, is_staff=True, now=now)
    _, api_key = issue_api_key(tenant=tenant, owner=user, name="First key", now=now)
    return Owner(tenant=tenant, user=user, api_key=api_key)


@transaction.atomic
def make_first_token(*, now: datetime) -> str:
    """Return a token with which the first administrator can be made, for 24 hours and once; earlier ones end.

    Raises OwnerExists when there is an administrator already.
    """
    if has_owner():
        raise OwnerExists("There is an administrator already.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    FirstToken.objects.filter(used_at=None).delete()
    FirstToken.objects.create(digest=digest_of(token), created_at=now, expires_at=now + VALID_FOR)
    return token


@transaction.atomic
def use_first_token(*, token: str, slug: str, name: str, email: str, password: str, now: datetime) -> Owner:
    """Make the first administrator. Raises FirstTokenRefused for every fault of the token alike, else as create_owner.

    A refusal of anything else leaves the token usable.
    """
    usable = FirstToken.objects.filter(digest=digest_of(token), used_at=None, expires_at__gt=now)
    if usable.update(used_at=now) != 1 or has_owner():
        raise FirstTokenRefused("This token is unknown, used or expired.")
    return create_owner(slug=slug, name=name, email=email, password=password, now=now)
