"""What may keep a step run from starting: kill switches, caps and circuit breakers."""

from __future__ import annotations

from django.db import models

from core.models import UUIDModel


class SwitchKind(models.TextChoices):
    GLOBAL = "global", "Everything, of every tenant"
    TENANT = "tenant", "Everything of the tenant"
    CONNECTOR = "connector", "Calls through one connector (http, ssh, ...)"
    CONNECTION = "connection", "Calls through one connection"
    EFFECT_CLASS = "effect_class", "Calls of one effect class (unsafe, keyed, ...)"
    PLAYBOOK = "playbook", "Executions of one playbook"


class Switch(UUIDModel):
    """A kill switch. It is on until it is lifted; its row is the record and is never deleted.

    ``tenant`` None: it holds for all tenants (global, connector, effect class). ``value`` is "" for global and tenant,
    a connector's name, an effect class, or the id of a connection or playbook.
    """

    tenant = models.ForeignKey(
        "accounts.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="switches"
    )
    kind = models.CharField(max_length=16, choices=SwitchKind)
    value = models.CharField(max_length=128, blank=True)
    #: what people call the value: a connection's or playbook's name when the switch was set
    label = models.CharField(max_length=300, blank=True)
    blocks_reads = models.BooleanField(default=False, help_text="Calls that only read stop too.")
    reason = models.TextField()
    set_by = models.CharField(max_length=300)
    #: the person behind the call, for rules of four eyes
    set_by_person = models.UUIDField(null=True, blank=True)
    set_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=300, blank=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "switches"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "kind", "value"),
                condition=models.Q(lifted_at__isnull=True),
                nulls_distinct=False,
                name="one_active_switch_per_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind__in=("global", "tenant", "connector", "connection", "effect_class", "playbook")
                ),
                name="switch_kind_known",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="global", tenant__isnull=True)
                | models.Q(kind__in=("connector", "effect_class"))
                | models.Q(kind__in=("tenant", "connection", "playbook"), tenant__isnull=False),
                name="switch_tenant_fits_kind",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "kind"), condition=models.Q(lifted_at__isnull=True), name="switches_that_are_on"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.label or self.value}".strip()

    @property
    def is_on(self) -> bool:
        return self.lifted_at is None


class CapKind(models.TextChoices):
    TENANT = "tenant", "Step runs of the tenant"
    CONNECTION = "connection", "Step runs that call one connection"
    PLAYBOOK = "playbook", "Step runs of one playbook"


class Cap(UUIDModel):
    """At most ``most`` step runs run at once. ``value``: "" for the tenant, else a connection's or playbook's id."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="caps")
    kind = models.CharField(max_length=16, choices=CapKind)
    value = models.CharField(max_length=128, blank=True)
    label = models.CharField(max_length=300, blank=True)
    most = models.PositiveIntegerField(help_text="How many may run at once, 1 or more.")
    set_by = models.CharField(max_length=300)
    set_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant", "kind", "value"), name="one_cap_per_scope"),
            models.CheckConstraint(condition=models.Q(most__gte=1), name="cap_lets_one_run"),
            models.CheckConstraint(
                condition=models.Q(kind__in=("tenant", "connection", "playbook")), name="cap_kind_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.label or self.value}: {self.most}"


class BreakerState(models.TextChoices):
    CLOSED = "closed", "closed: calls are made"
    OPEN = "open", "open: calls wait"
    HALF_OPEN = "half_open", "half open: one call tries"


class Breaker(models.Model):
    """The circuit breaker of one connection; there is none where its calls never failed.

    While it is not closed, nobody calls before ``next_at``. Who comes first after that tries, and moves ``next_at``
    on, so that one attempt tries at a time and a try that was lost is followed by another.
    """

    connection = models.OneToOneField(
        "connectors.Connection", on_delete=models.CASCADE, primary_key=True, related_name="breaker"
    )
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="breakers")
    state = models.CharField(max_length=16, choices=BreakerState, default="closed")
    failures = models.PositiveIntegerField(default=0, help_text="Failures of the far side in a row.")
    last_code = models.CharField(max_length=64, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state="closed", next_at__isnull=True)
                | models.Q(state__in=("open", "half_open"), next_at__isnull=False),
                name="breaker_waits_iff_not_closed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.state}"
