"""Writes: tenants, people, keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import keys, selectors
from accounts.models import ApiKey, Tenant, User
from accounts.permissions import ADMINISTRATORS, ROLES, is_scope, limited_to, permissions_of
from core.actors import SYSTEM, Actor
from core.database import AWAY, is_away
from core.errors import Conflict, FieldError, Forbidden, Invalid

#: ``last_used_at`` is written at most so often a key: it is for people, and a write a request is dear.
USE_NOTED_EVERY: Final = timedelta(minutes=1)


class TenantExists(Conflict):
    code = "tenant_exists"


class EmailTaken(Conflict):
    code = "email_taken"


class LastAdministrator(Conflict):
    code = "last_administrator"


class MayNotGrant(Forbidden):
    code = "may_not_grant"


def create_tenant(
    *, slug: str, name: str, now: datetime, rate_tier: str = "standard", import_level: str = "lenient"
) -> Tenant:
    """Raises TenantExists, Invalid."""
    tenant = Tenant(slug=slug, name=name, rate_tier=rate_tier, import_level=import_level, created_at=now)
    _check(tenant)
    try:
        with transaction.atomic():
            tenant.save(force_insert=True)
    except IntegrityError:
        raise TenantExists(f"There is a tenant {slug!r} already.") from None
    return tenant


def create_user(
    *,
    tenant: Tenant | None,
    email: str,
    password: str | None,
    role: str,
    now: datetime,
    name: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
    by: Actor = SYSTEM,
) -> User:
    """Make a person. ``password`` None: one who cannot log in with a password.

    Raises Invalid (e-mail, role, password), EmailTaken, and MayNotGrant when ``by`` lacks what the role gives.
    """
    check_grant(role, by=by)
    user = User(
        tenant=tenant, email=_checked_email(email), name=name, role=role,
        is_staff=is_staff, is_superuser=is_superuser, created_at=now,
    )  # fmt: skip
    _set_password(user, password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise EmailTaken(f"There is a user with the e-mail address {email!r} already.") from None
    return user


def set_password(*, user: User, password: str) -> None:
    """Raises Invalid when the password is too short, too long, well known or like the person's name."""
    _set_password(user, password)
    user.save(update_fields=["password"])


@transaction.atomic
def change_role(*, user: User, role: str, by: Actor) -> User:
    """Raises Invalid, MayNotGrant, and LastAdministrator when nobody would be left who can administer."""
    check_grant(role, by=by)
    if would_leave(user, role=role, is_active=user.is_active):
        check_not_last_administrator(user)
    user.role = role
    user.save(update_fields=["role"])
    return user


@transaction.atomic
def deactivate_user(*, user: User) -> User:
    """Close an account; its keys stop working with the next request. Raises LastAdministrator."""
    check_not_last_administrator(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    return user


def issue_api_key(
    *,
    tenant: Tenant,
    owner: User,
    name: str,
    now: datetime,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    by: Actor = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which is not stored and never shown again. Raises as check_api_key."""
    check_api_key(tenant=tenant, owner=owner, scopes=scopes, expires_at=expires_at, by=by, now=now)
    made = keys.new_key()
    row = ApiKey(
        tenant=tenant, owner=owner, name=name, prefix=made.prefix, digest=made.digest,
        scopes=list(scopes), created_at=now, expires_at=expires_at,
    )  # fmt: skip
    _check(row)
    row.save(force_insert=True)
    return row, made.text


def check_api_key(
    *, tenant: Tenant, owner: User, scopes: Sequence[str], expires_at: datetime | None, by: Actor, now: datetime
) -> None:
    """Raises Invalid for an unknown scope, an expiry that is past, or an owner of another tenant.

    Raises MayNotGrant for scopes that give nothing to this owner, and for a key that may do more than ``by``.
    """
    if owner.tenant_id not in (None, tenant.id):
        raise Invalid("The owner of a key belongs to its tenant.")
    for scope in scopes:
        if not is_scope(scope):
            raise Invalid(f"{scope!r} is no scope.", fields=[FieldError("scopes", "Unknown scope.")])
    given = limited_to(permissions_of(owner.role), scopes)
    if scopes and not given:
        raise MayNotGrant("The owner holds none of these permissions.")
    if by is not SYSTEM and not given <= by.permissions:
        raise MayNotGrant("Nobody grants what they do not hold.")
    if expires_at is not None and expires_at <= now:
        raise Invalid("A key expires in the future.", fields=[FieldError("expires_at", "Must be in the future.")])


def revoke_api_key(*, key: ApiKey, now: datetime) -> ApiKey:
    """Close a key for good; again changes nothing."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key.refresh_from_db(fields=["revoked_at"])
    return key


def authenticate_key(key: str, *, now: datetime) -> selectors.Caller | None:
    """Return who a key stands for and note its use; None when it may not be used."""
    row = selectors.find_key(key, now=now)
    if row is None:
        return None
    before = now - USE_NOTED_EVERY
    if row.last_used_at is None or row.last_used_at < before:
        _note_use(row, before=before, now=now)
    return selectors.caller_of_key(row)


def _note_use(key: ApiKey, *, before: datetime, now: datetime) -> None:
    """A database that takes no writes keeps nobody from reading."""
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=before)
    try:
        with transaction.atomic():
            ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)
    except AWAY as error:
        if not is_away(error):
            raise


def check_grant(role: str, *, by: Actor) -> None:
    """Raises Invalid for a role that does not exist, MayNotGrant when ``by`` lacks what it gives."""
    if role not in ROLES:
        raise Invalid(f"{role!r} is no role. Roles: {', '.join(ROLES)}.", fields=[FieldError("role", "Unknown role.")])
    if by is not SYSTEM and not permissions_of(role) <= by.permissions:
        raise MayNotGrant("Nobody grants what they do not hold.")


def _checked_email(email: str) -> str:
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("This is no e-mail address.", fields=[FieldError("email", "Not an e-mail address.")]) from None
    if len(email) > 254:
        raise Invalid("The e-mail address is too long.", fields=[FieldError("email", "At most 254 characters.")])
    return User.objects.normalize_email(email)


def _set_password(user: User, password: str | None) -> None:
    if password is None:
        user.set_unusable_password()
        return
    check_password(password, user=user)
    user.set_password(password)


def check_password(password: str, *, user: User) -> None:
    """Raises Invalid when the password is too short, too long, well known or like the person's name."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        message = " ".join(error.messages)
        raise Invalid(message, fields=[FieldError("password", message)]) from None


def would_leave(user: User, *, role: str, is_active: bool) -> bool:
    """Whether the user is an active administrator and would be none with this role and state."""
    return user.is_active and user.role in ADMINISTRATORS and not (is_active and role in ADMINISTRATORS)


def check_not_last_administrator(user: User) -> None:
    """Raise LastAdministrator if the user is the tenant's only active one.

    The rows are locked until the transaction ends, so that two cannot leave at once.
    """
    if user.role not in ADMINISTRATORS or user.tenant_id is None:
        return
    rows = User.objects.select_for_update().filter(tenant_id=user.tenant_id, role__in=ADMINISTRATORS, is_active=True)
    if {row.pk for row in rows.order_by("id")} == {user.pk}:
        raise LastAdministrator("This is the last administrator. Make another one first.")


def _check(row: Tenant | ApiKey) -> None:
    try:
        row.clean_fields()
    except ValidationError as error:
        fields = [FieldError(name, " ".join(messages)) for name, messages in error.message_dict.items()]
        raise Invalid(f"{fields[0].path}: {fields[0].message}", fields=fields) from None
