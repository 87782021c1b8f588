"""Stored playbooks, their versions, what starts them, and the assets they are run on."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.models import UUIDModel


class Playbook(UUIDModel):
    """A playbook through all its versions. The columns beside the ids are those of the latest version."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="playbooks")
    slug = models.CharField(max_length=128, help_text="Named pb-<slug> in the S4E API.")
    cacao_id = models.CharField(max_length=300, help_text="Named so in the SOARCA API: playbook--<uuid>.")
    name = models.CharField(max_length=1000)
    description = models.TextField(blank=True)
    dialect = models.CharField(max_length=16)  # of the latest version: cacao, s4e
    version_label = models.CharField(max_length=100, blank=True)
    trigger: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    tags = ArrayField(models.TextField(), default=list, blank=True)
    step_count = models.PositiveIntegerField(default=0)
    derived_from = ArrayField(models.TextField(), default=list, blank=True, help_text="CACAO ids it is a copy of.")
    starts = ArrayField(
        models.TextField(), default=list, blank=True, help_text="CACAO ids of the playbooks its latest version starts."
    )
    stop_on_failure = models.BooleanField(
        default=False, help_text="Follow on_completion after success only, as SOARCA does."
    )
    is_enabled = models.BooleanField(default=True, help_text="A disabled playbook is listed and read, but not run.")
    archived_at = models.DateTimeField(null=True, blank=True)
    is_listed = models.BooleanField(
        default=True, help_text="Off for a playbook that was sent along with its trigger and is not kept."
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "slug"),
                condition=models.Q(archived_at=None, is_listed=True),
                name="one_playbook_per_slug",
            ),
            models.UniqueConstraint(
                fields=("tenant", "cacao_id"),
                condition=models.Q(archived_at=None, is_listed=True),
                name="one_playbook_per_cacao_id",
            ),
        )
        indexes = (models.Index(fields=("tenant", "-created_at", "id"), name="playbook_newest"),)

    def __str__(self) -> str:
        return self.name


class PlaybookVersion(UUIDModel):
    """One version: the document as given and the workflow it was compiled to. Its content never changes.

    A trigger of the database refuses an UPDATE of the content.
    """

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="versions")
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=100)  # S4E: "1.2.0"; CACAO: its `modified`
    dialect = models.CharField(max_length=16)
    document = models.BinaryField()  # the octets as received; sealed when `is_sealed`
    is_sealed = models.BooleanField(default=False)  # it holds literal secrets, so it is encrypted at rest
    #: JSON Pointers to the literal secrets in the document
    secret_pointers = ArrayField(models.TextField(), default=list, blank=True)
    #: signature objects that came after the version was stored (CACAO.md D30); an export gives them back
    added_signatures: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list, blank=True)
    jcs_digest = models.CharField(max_length=64)
    workflow = models.TextField()  # JSON text: jsonb would lose the order of the steps
    engine_version = models.PositiveSmallIntegerField(default=1)
    findings: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    is_strict = models.BooleanField(default=True)
    #: what orders the versions: CACAO's `modified`, else when it was stored
    modified_at = models.DateTimeField()
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    is_revoked = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300, blank=True)
    #: the user behind it, also where a key of theirs stored it; approvals by four eyes ask for it
    created_by_person = models.UUIDField(null=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("playbook", "number"), name="one_version_per_number"),
            models.UniqueConstraint(
                fields=("playbook", "label"), condition=models.Q(dialect="cacao"), name="one_version_per_modified"
            ),
        )

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.label}"


class Trigger(UUIDModel):
    """A stored rule that starts executions by itself: at an event, at a signed request, or by the clock."""

    class Missed(models.TextChoices):
        SKIP = "skip", "Skip them"
        ONCE = "once", "Make up for the latest"
        ALL = "all", "Make up for each"

    class Signature(models.TextChoices):
        SALLYPORT = "sallyport", "Sallyport: time, id and body"
        GITHUB = "github", "GitHub: the body alone"

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="triggers")
    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="triggers")
    event = models.CharField(max_length=64)
    conditions: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    cron = models.CharField(max_length=100, blank=True, help_text="Minute, hour, day, month, day of week; UTC.")
    is_enabled = models.BooleanField(default=True)
    is_from_document = models.BooleanField(
        default=False, help_text="It stands in the playbook's document, which says its event, conditions and cron."
    )
    #: what the start is given: name of a parameter (CACAO: external variable) -> dotted path into the event's data
    parameters: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, blank=True)
    dedup_fields = ArrayField(
        models.TextField(), default=list, blank=True, help_text="Paths into the data that make two events the same."
    )

    next_due_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="A schedule's next fire; empty until a sweep has looked at it."
    )
    missed_policy = models.CharField(
        max_length=8, choices=Missed.choices, default=Missed.ONCE, help_text="For fires that nobody was there for."
    )

    signature = models.CharField(max_length=16, choices=Signature.choices, default=Signature.SALLYPORT)
    sealed_secret = models.TextField(blank=True, editable=False)
    #: the one before, good until ``old_secret_until``
    sealed_old_secret = models.TextField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)

    last_fired_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: of the last execution it started; executions know triggers, not the other way round
    last_execution_id = models.UUIDField(null=True, blank=True, editable=False)
    last_error = models.CharField(
        max_length=500, blank=True, editable=False, help_text="Why it last started nothing; empty after a start."
    )
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_missed = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Which fires of a schedule were last left out."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(missed_policy__in=("skip", "once", "all")), name="missed_known"),
            models.CheckConstraint(condition=models.Q(signature__in=("sallyport", "github")), name="signature_known"),
            models.UniqueConstraint(
                fields=("playbook",), condition=models.Q(is_from_document=True), name="one_trigger_of_the_document"
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "event"), name="trigger_by_event"),
            models.Index(
                fields=("next_due_at",), condition=models.Q(event="schedule", is_enabled=True), name="trigger_due"
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} starts {self.playbook_id}"


class Asset(UUIDModel):
    """Something a playbook can be run on (S4E ``target_asset_id``)."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="assets")
    reference = models.CharField(max_length=128, help_text="For instance a-1001.")
    data: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant", "reference"), name="one_asset_per_reference"),)

    def __str__(self) -> str:
        return self.reference
