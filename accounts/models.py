"""Tenants, the people and keys that act for them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower

from core.models import UUIDModel


class RateTier(models.TextChoices):
    STANDARD = "standard", "Standard: 100 a minute, burst 20"
    PREMIUM = "premium", "Premium: 1,000 a minute, burst 100"
    ENTERPRISE = "enterprise", "Enterprise: 10,000 a minute, burst 500"


class ImportLevel(models.TextChoices):
    LENIENT = "lenient", "Lenient: faults are read as CACAO.md 13.3 says and reported"
    STRICT = "strict", "Strict: such faults refuse the playbook"


class Tenant(UUIDModel):
    """An organisation. Everything else belongs to exactly one; tenants never see each other."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    rate_tier = models.CharField(max_length=16, choices=RateTier, default="standard")
    import_level = models.CharField(max_length=16, choices=ImportLevel, default="lenient")
    dispatch_weight = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=(MinValueValidator(1), MaxValueValidator(100)),
        help_text="1 to 100: this tenant's share of the workers beside others that have work as well.",
    )
    queue_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=(MinValueValidator(1),),
        help_text="Step runs that may be queued before a start is refused. Empty: SALLYPORT_QUEUE_LIMIT.",
    )
    keep_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=(MinValueValidator(1), MaxValueValidator(36_500)),
        help_text="Days that an execution is kept after its end, with its steps, events, answers and reviews; then all "
        "of it is deleted for good. Empty: kept for ever.",
    )
    four_eyes = models.BooleanField(
        default=False,
        help_text="Whoever started an execution, or made the playbook version that it runs, does not vote on its "
        "approvals, unless a policy says otherwise.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(dispatch_weight__gte=1, dispatch_weight__lte=100), name="dispatch_weight_1_to_100"
            ),
            models.CheckConstraint(condition=models.Q(keep_days__gte=1), name="keep_days_1_or_more"),
        )

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(UUIDModel, AbstractBaseUser, PermissionsMixin):
    """A person. ``role`` is a name of ``accounts.permissions.ROLES``."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="users", null=True, blank=True)
    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=64, default="viewer")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May log in to this admin.")
    created_at = models.DateTimeField()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints = (models.UniqueConstraint(Lower("email"), name="one_user_per_email"),)

    def __str__(self) -> str:
        return self.email


class ApiKey(UUIDModel):
    """A key of a program. Only its SHA-256 is stored; ``prefix`` is shown so that people can tell keys apart."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=24)
    digest = models.CharField(max_length=64, unique=True)
    scopes: models.JSONField[list[str], list[str]] = models.JSONField(
        default=list, blank=True, help_text="Permissions the key is limited to; empty: all of its owner's."
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"


class LoginCounter(models.Model):
    """Failed logins of one e-mail address from one client address, of one address, or of one account, in one minute.

    Rows in PostgreSQL, so that emptying Redis resets nothing (SEC-33). ``subject`` is a digest: no list of who was
    attacked from where is kept.
    """

    subject = models.CharField(max_length=64, primary_key=True)
    window_started_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    succeeded_at = models.DateTimeField(null=True, help_text="Last good login of this pair of account and address.")

    class Meta:
        indexes = (models.Index(fields=("window_started_at",), name="login_counter_age"),)

    def __str__(self) -> str:
        return f"{self.failures} failures since {self.window_started_at}"


class FirstToken(UUIDModel):
    """The token by which the first administrator is made, once. Only its SHA-256 is stored (SEC-34)."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"First token of {self.created_at}"
