"""Fins, what they can do, and the jobs that are theirs."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.models import UUIDModel


class FinTransport(models.TextChoices):
    HTTP = "http", "HTTP"
    MQTT = "mqtt", "MQTT"


class FinEffect(models.TextChoices):
    """The effect classes that a capability may have: nobody can ask a fin, and it does not know our keys."""

    UNSAFE = "unsafe", "Unsafe: a job that was lost is put to a person"
    IDEMPOTENT = "idempotent", "Idempotent: repeating gives the same end state, so a lost job is given out again"
    READ = "read", "Read: no effect at all"


class FinToken(UUIDModel):
    """A tenant's registration token; only its SHA-256 is stored."""

    tenant = models.OneToOneField("accounts.Tenant", on_delete=models.CASCADE, related_name="fin_token")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    changed_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "fin registration token"

    def __str__(self) -> str:
        return f"registration token of {self.tenant_id}"


class FinRule(UUIDModel):
    """What repeating a job of a capability does, as the tenant knows it. Without a rule it is unsafe."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="fin_rules")
    capability = models.CharField(max_length=200, help_text="Type of the capability; over MQTT its id.")
    effect = models.CharField(max_length=16, choices=FinEffect, default="unsafe")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "capability"), name="one_rule_per_fin_capability"),)

    def __str__(self) -> str:
        return f"{self.capability} is {self.effect}"


class Fin(UUIDModel):
    """A registered fin. ``name`` is the id that a fin over MQTT gives itself, which is its topic too.

    ``gone_at``: over MQTT, it let a command go unanswered; ``removed_at``: it is to be told that it was unregistered.
    """

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="fins")
    transport = models.CharField(max_length=8, choices=FinTransport)
    name = models.CharField(max_length=200, blank=True)
    display_name = models.CharField(max_length=200, blank=True)
    protocol_version = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # of its token, over HTTP
    registered_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "name"), condition=models.Q(transport="mqtt"), name="one_mqtt_fin_per_name"
            ),
            models.CheckConstraint(
                condition=models.Q(transport="http", digest__isnull=False)
                | models.Q(transport="mqtt", digest__isnull=True),
                name="fin_token_iff_http",
            ),
        )

    def __str__(self) -> str:
        return self.display_name or self.name or str(self.id)


class FinCapability(UUIDModel):
    """``key`` is what agents are matched with, and over MQTT the topic of the capability."""

    fin = models.ForeignKey(Fin, on_delete=models.CASCADE, related_name="capabilities")
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+")
    transport = models.CharField(max_length=8, choices=FinTransport)
    key = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    #: as the fin gave it: description, version, step_examples, or what MQTT's register holds
    given: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    is_paused = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "fin capabilities"
        constraints = (
            models.UniqueConstraint(fields=("fin", "key"), name="one_fin_capability_per_key"),
            models.UniqueConstraint(
                fields=("tenant", "key"), condition=models.Q(transport="mqtt"), name="one_mqtt_capability_per_topic"
            ),
        )

    def __str__(self) -> str:
        return self.key


class FinJob(UUIDModel):
    """One attempt of a step run, for a fin. The step run waits; what may move it stands in ``executions``.

    ``state``: open (nobody has it), taken (``fin`` has it), done, lost (its lease ran out), closed (the step run went
    on without it). What is over holds neither commands nor secrets.
    """

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    execution_id = models.UUIDField()
    step_run_id = models.UUIDField()
    fence = models.PositiveIntegerField()  # of the attempt
    transport = models.CharField(max_length=8, choices=FinTransport)
    capability = models.CharField(max_length=200)
    effect = models.CharField(max_length=16, choices=FinEffect)
    state = models.CharField(max_length=8, default="open")
    #: {"commands": [...], "targets": [{"id", "target", "authentication"}]}, filled in and without secrets
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: {"<target index>.<property>": secret}; once it is over, whether there were any
    sealed_secrets = models.TextField(blank=True, editable=False)
    fin = models.ForeignKey(Fin, on_delete=models.SET_NULL, null=True, related_name="jobs")
    created_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)  # over HTTP
    progress = models.CharField(max_length=500, blank=True)
    result_digest = models.CharField(max_length=64, blank=True)
    # Over MQTT a message holds one command: how many are done, and what they gave back.
    position = models.PositiveIntegerField(default=0)
    values: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    generated_on = models.CharField(max_length=40, blank=True)  # of the message that is out
    published_at = models.DateTimeField(null=True)
    publications = models.PositiveSmallIntegerField(default=0)
    acked_at = models.DateTimeField(null=True)
    result_message = models.CharField(max_length=200, blank=True)  # id of the last result that counted

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("step_run_id", "fence"), name="one_fin_job_per_attempt"),
            models.CheckConstraint(
                condition=models.Q(state__in=("open", "taken", "done", "lost", "closed")), name="fin_job_state_known"
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "capability", "id"), condition=models.Q(state="open"), name="fin_job_open"),
            models.Index(fields=("lease_until",), condition=models.Q(state="taken"), name="fin_job_leases"),
            models.Index(fields=("id",), condition=models.Q(state__in=("open", "taken")), name="fin_job_live"),
        )

    def __str__(self) -> str:
        return f"{self.capability} for {self.step_run_id}"
