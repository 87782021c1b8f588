"""Reads: who a credential stands for, and the people and keys of a tenant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare

from accounts.keys import digest_of
from accounts.models import ApiKey, Tenant, User
from accounts.permissions import limited_to, permissions_of
from core.actors import Actor, ActorKind
from core.errors import NotFound


@dataclass(frozen=True)
class Caller:
    """Who calls, and for which tenant. Everything a request may see or do follows from this."""

    tenant: Tenant
    actor: Actor


class TenantNotFound(NotFound):
    code = "tenant_not_found"


def identify(key: str, *, now: datetime) -> Caller | None:
    """Return who an API key stands for, or None.

    None is for a key that is unknown, expired or revoked, and for one of an inactive owner or tenant.

    One query, nothing cached: a revocation holds from the next request on (SEC-37).
    """
    row = find_key(key, now=now)
    return None if row is None else caller_of_key(row)


def find_key(key: str, *, now: datetime) -> ApiKey | None:
    """Return the row of a key that may be used at ``now``, with its owner and tenant, or None."""
    digest = digest_of(key)
    row = ApiKey.objects.select_related("owner", "tenant").filter(digest=digest).first()
    if row is None or not constant_time_compare(row.digest, digest) or not is_usable(row, now=now):
        return None
    return row


def identify_again(actor: Actor, *, now: datetime) -> Caller | None:
    """Return what an actor that was let in before is now, by its row; None when it may not come in any more."""
    if actor.kind is ActorKind.KEY:
        row = ApiKey.objects.select_related("owner", "tenant").filter(pk=actor.id).first()
        return caller_of_key(row) if row is not None and is_usable(row, now=now) else None
    if actor.kind is ActorKind.USER:
        user = User.objects.select_related("tenant").filter(pk=actor.id).first()
        return caller_of_user(user) if user is not None else None
    return None


def is_usable(key: ApiKey, *, now: datetime) -> bool:
    expired = key.expires_at is not None and key.expires_at <= now
    owner = key.owner
    return (
        key.revoked_at is None
        and not expired
        and owner.is_active
        and key.tenant.is_active
        and owner.tenant_id in (None, key.tenant_id)
    )


def may_log_in(user: User) -> bool:
    return user.is_active and (user.tenant is None or user.tenant.is_active)


def caller_of_key(key: ApiKey) -> Caller:
    """Return the caller: the intersection of the key's scopes and what its owner may do now (SEC-27)."""
    owner = key.owner
    actor = Actor(
        kind=ActorKind.KEY,
        id=str(key.id),
        name=key.name,
        person=owner.id,
        permissions=limited_to(permissions_of(owner.role), key.scopes),
        roles=frozenset({owner.role}),
    )
    return Caller(tenant=key.tenant, actor=actor)


def caller_of_user(user: User) -> Caller | None:
    """Return the caller a logged-in person is; None for inactive ones and for those without a tenant."""
    tenant = user.tenant
    if tenant is None or not may_log_in(user):
        return None
    return Caller(tenant=tenant, actor=actor_of_user(user))


def actor_of_user(user: User) -> Actor:
    return Actor(
        kind=ActorKind.USER,
        id=str(user.id),
        name=user.email,
        person=user.id,
        permissions=permissions_of(user.role),
        roles=frozenset({user.role}),
    )


def open_caller(slug: str, *, permissions: Iterable[str], name: str) -> Caller | None:
    """Return the caller of a family that a setting opens for one tenant; None when there is no such active tenant."""
    tenant = Tenant.objects.filter(slug=slug, is_active=True).first()
    if tenant is None:
        return None
    actor = Actor(kind=ActorKind.SYSTEM, id=name, name=name, permissions=frozenset(permissions))
    return Caller(tenant=tenant, actor=actor)


def get_tenant(slug: str) -> Tenant:
    """Raises TenantNotFound."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise TenantNotFound(f"There is no tenant {slug!r}.")
    return tenant


def list_tenants() -> QuerySet[Tenant]:
    return Tenant.objects.order_by("created_at", "id")


def list_users(tenant: Tenant) -> QuerySet[User]:
    return User.objects.filter(tenant=tenant).order_by("email", "id")


def list_api_keys(tenant: Tenant) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(tenant=tenant).select_related("owner").order_by("-created_at", "id")


def find_user(email: str) -> User | None:
    return User.objects.select_related("tenant").filter(email__iexact=email).first()


def tenant_for_command(slug: str | None) -> Tenant:
    """Return the tenant that a command works for: the one named, or the only one. Raises TenantNotFound."""
    if slug:
        return get_tenant(slug)
    found = list(list_tenants()[:2])
    if not found:
        raise TenantNotFound("There is no tenant yet. `manage.py up` makes one.")
    if len(found) > 1:
        raise TenantNotFound("There are several tenants: name one with --tenant SLUG.")
    return found[0]
