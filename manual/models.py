"""Questions to people and their answers."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.models import UUIDModel


class RequestKind(models.TextChoices):
    INPUT = "input", "Do this and give the values"
    APPROVAL = "approval", "Approve or reject"
    DECISION = "decision", "Decide yes or no"
    CHOICE = "choice", "Choose one"


class RequestStatus(models.TextChoices):
    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Covers(models.TextChoices):
    CALLS = "calls", "What steps do outside"
    STEPS = "approval_steps", "Approval steps of playbooks"


#: effect classes that a policy may name (EXECUTION-SEMANTICS 2); the connectors declare them
EFFECTS = ("read", "keyed", "idempotent", "probe", "unsafe")


class ManualRequest(UUIDModel):
    """One question put to people by one step run. Answered by one UPDATE; whoever comes second is told so.

    An approval counts votes. One that asks whether a step may act carries what the step will do (``shown``) and the
    digest of exactly that.
    """

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="manual_requests")
    execution = models.ForeignKey("executions.Execution", on_delete=models.CASCADE, related_name="manual_requests")
    step_run = models.ForeignKey("executions.StepRun", on_delete=models.CASCADE, related_name="manual_requests")
    step_id = models.CharField(max_length=300)
    playbook_cacao_id = models.CharField(max_length=300)
    kind = models.CharField(max_length=16, choices=RequestKind)
    status = models.CharField(max_length=16, choices=RequestStatus, default="open")
    text = models.TextField(blank=True)
    description = models.TextField(blank=True)
    #: [{"description", "command", "commandb64"}], as SOARCA shows them
    commands: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    #: target id -> target without authentication
    targets: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: variable name -> {type, name, description, value, constant, external}
    out_args: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    choices = ArrayField(models.TextField(), default=list)
    approvers = ArrayField(
        models.TextField(), default=list, help_text="E-mails or roles; empty: whoever has the right."
    )
    #: further lists; whoever votes is on each of them, because several policies apply
    also_approvers: models.JSONField[list[list[str]], list[list[str]]] = models.JSONField(default=list)
    votes_needed = models.PositiveSmallIntegerField(default=1)
    noes_needed = models.PositiveSmallIntegerField(default=1)
    four_eyes = models.BooleanField(default=False)
    #: id of a person whose vote does not count -> what they did: "started the execution"
    excluded: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict)
    policies = ArrayField(models.TextField(), default=list)  # names of those that ask
    #: what the step will do, secrets as name@version; None: a question that a playbook asks
    shown: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 of `shown` in canonical form
    reason = models.CharField(max_length=32, blank=True)  # why it is asked anew: changed
    requested_at = models.DateTimeField()
    deadline_at = models.DateTimeField(null=True)
    #: what was answered: {"status": "success|failure", "values": {...}, "comment": ""}
    answer: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.CharField(max_length=300, blank=True)
    answered_by_id = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("step_run",), condition=models.Q(status="open"), name="one_open_request_per_step_run"
            ),
            models.CheckConstraint(
                condition=models.Q(status="answered", answered_at__isnull=False)
                | (~models.Q(status="answered") & models.Q(answered_at__isnull=True)),
                name="answered_request_has_a_time",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "requested_at", "id"), condition=models.Q(status="open"), name="open_requests"
            ),
            models.Index(fields=("deadline_at",), condition=models.Q(status="open"), name="open_request_deadlines"),
        )

    def __str__(self) -> str:
        return f"{self.kind} for {self.step_id}"


class Vote(UUIDModel):
    """What one person says to one approval. It is never changed or taken back."""

    request = models.ForeignKey(ManualRequest, on_delete=models.CASCADE, related_name="votes")
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+")
    #: the person's id, whichever key they used; of a caller who is no person, "kind:id"
    voter = models.CharField(max_length=160)
    name = models.CharField(max_length=300)
    approves = models.BooleanField()
    comment = models.TextField(blank=True)
    voted_at = models.DateTimeField()
    actor_id = models.CharField(max_length=100)  # the user or key it came by

    class Meta:
        ordering = ("voted_at", "id")
        constraints = (models.UniqueConstraint(fields=("request", "voter"), name="one_vote_per_person_and_request"),)

    def __str__(self) -> str:
        return f"{self.name}: {'yes' if self.approves else 'no'}"


class ApprovalPolicy(UUIDModel):
    """Which steps need approval, and by whose votes. A selector that is empty matches everything."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="approval_policies")
    name = models.CharField(max_length=128)
    covers = models.CharField(max_length=16, choices=Covers, default="calls")
    playbook = models.ForeignKey(
        "playbooks.Playbook", on_delete=models.RESTRICT, null=True, blank=True, related_name="+",
        help_text="Only steps of this playbook.",
    )  # fmt: skip
    connection = models.ForeignKey(
        "connectors.Connection", on_delete=models.RESTRICT, null=True, blank=True, related_name="+",
        help_text="Only calls through this connection.",
    )  # fmt: skip
    operation = models.CharField(
        max_length=128, blank=True, help_text="Only this operation (http.request, act-block-ip), or connector (http)."
    )
    effects = ArrayField(
        models.CharField(max_length=16, choices=[(word, word) for word in EFFECTS]),
        default=list,
        blank=True,
        help_text="Only calls of these effect classes. Empty: all but read.",
    )
    votes = models.PositiveSmallIntegerField(default=1, help_text="How many people have to say yes.")
    approvers = ArrayField(
        models.CharField(max_length=254),
        default=list,
        blank=True,
        help_text="E-mails or roles; empty: whoever may decide approvals.",
    )
    four_eyes = models.BooleanField(null=True, blank=True, help_text="Unknown: as the tenant has it.")
    first_no_decides = models.BooleanField(default=True, help_text="Off: a no counts as one vote.")
    deadline = models.DurationField(
        null=True,
        blank=True,
        help_text="How long people have. Empty: 24 hours in S4E playbooks, 10 minutes in CACAO.",
    )
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name_plural = "approval policies"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="one_approval_policy_per_name"),
            models.CheckConstraint(condition=models.Q(votes__gte=1), name="approval_policy_has_votes"),
        )

    def __str__(self) -> str:
        return self.name
