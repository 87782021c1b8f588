"""What a run is made of. The per-step path writes these tables in ``statements.py``."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import Func, Value
from django.db.models.fields.json import KeyTextTransform

from core.models import UUIDModel
from executions import gate_models  # noqa: F401  (its tables belong to this app)

LIVE_EXECUTION = ("pending", "running", "paused")
FINAL_EXECUTION = ("completed", "failed", "cancelled")
LIVE_STEP = ("pending", "running", "retrying", "waiting", "uncertain")
FINAL_STEP = ("completed", "failed", "timed_out", "skipped", "cancelled")
QUEUED = models.Q(status__in=("pending", "retrying"))


class NextNumber(Func):
    """The next value of a sequence of the database."""

    function = "nextval"

    def __init__(self, sequence: str = "executions_execution_number") -> None:
        super().__init__(Value(sequence), output_field=models.BigIntegerField())

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return ("executions.models.NextNumber", (), {})


def _holds(function: str, *columns: str) -> models.Func:
    """A rule of a row as a function of the database: PostgreSQL reads the text of a rule anew in every statement.

    For a list of words in a rule that takes longer than to write the row; a function is read once a session.
    """
    return models.Func(*(models.F(column) for column in columns), function=function, output_field=models.BooleanField())


class Execution(UUIDModel):
    """One run of one playbook version."""

    #: of the object that a start returns, not of the row: the same start came before, and this is its execution
    was_started_before = False

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="executions")
    number = models.BigIntegerField(unique=True, db_default=NextNumber(), editable=False)
    version = models.ForeignKey("playbooks.PlaybookVersion", on_delete=models.PROTECT, related_name="executions")
    playbook = models.ForeignKey("playbooks.Playbook", on_delete=models.PROTECT, related_name="executions")
    dialect = models.CharField(max_length=16, default="cacao")
    status = models.CharField(max_length=16, default="pending")
    reason = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    held_at = models.DateTimeField(null=True)
    #: "", operator, parent (its parent is held) or both; what is not "" goes with held_at
    held_by = models.CharField(max_length=16, blank=True, default="", db_default="")
    stop_as = models.CharField(max_length=16, blank=True)  # "", failed or cancelled
    stop_reason = models.CharField(max_length=64, blank=True)
    stop_requested_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    start_key = models.CharField(max_length=64, null=True)  # SHA-256 of tenant, family, route, caller's key
    start_digest = models.CharField(max_length=64, blank=True)
    #: what the start call gave: {"variables": {...}} or {"parameters", "asset", "finding"...}
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: dry_run, stop_on_failure, loop_limit, override_validity, script (fake connector)
    options: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    actor: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    parent_step_run = models.OneToOneField("StepRun", on_delete=models.PROTECT, null=True, related_name="child")
    again_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    depth = models.SmallIntegerField(default=0)
    last_seq = models.BigIntegerField(default=0)
    step_runs_made = models.IntegerField(default=0)
    failed_steps = models.IntegerField(default=0)
    exception_handled = models.BooleanField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "start_key"),
                condition=models.Q(start_key__isnull=False),
                name="one_execution_per_start_key",
            ),
            models.CheckConstraint(
                condition=_holds("executions_execution_is_sound", "status", "stop_as", "ended_at"),
                name="execution_is_sound",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "-created_at", "id"), name="execution_newest"),
            models.Index(
                fields=("deadline_at",),
                condition=models.Q(status__in=("pending", "running", "paused")),
                name="execution_live_deadline",
            ),
            models.Index(
                fields=("stop_requested_at",),
                condition=models.Q(status__in=("pending", "running", "paused")) & ~models.Q(stop_as=""),
                name="execution_stopping",
            ),
            models.Index(fields=("id",), condition=models.Q(status="paused"), name="execution_paused"),
            models.Index(
                fields=("created_at",), condition=models.Q(start_key__isnull=False), name="execution_start_keys"
            ),
            # Few rows, and what people look for among a million others; what ends well is not written here.
            models.Index(
                fields=("tenant", "-created_at", "id"),
                condition=models.Q(status__in=("failed", "cancelled")),
                name="execution_ended_badly",
            ),
            # What has not begun, a tenant's playbooks in turn; ids are in the order of their making.
            models.Index(
                fields=("tenant", "playbook", "id"), condition=models.Q(status="pending"), name="execution_fresh"
            ),
        )

    def __str__(self) -> str:
        return f"pexec-{self.number}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_EXECUTION


class Scope(models.Model):
    """One open or ended branch: its variables, and whether it reached its end.

    The id is made from the execution and the path, so that the same branch is inserted once.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="scopes")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="children")
    path = models.TextField()  # "" for the execution itself, then while-a#3/par-b.2
    opener_step = models.TextField(blank=True)
    key = models.TextField(blank=True)  # true, false, a case, a branch or visit number
    position = models.PositiveIntegerField(default=0)  # of the branch in next_steps
    status = models.CharField(max_length=16, default="open")  # open, ended, broke, stopped
    is_isolated = models.BooleanField(default=False)  # a branch of a parallel: writes wait for the join
    variables: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    writes: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status__in=("open", "ended", "broke", "stopped")), name="scope_status_known"
            ),
        )

    def __str__(self) -> str:
        return self.path or "(execution)"


class StepRun(models.Model):
    """One visit to a step. Its row is its own outbox: status, due_at and published_at say what to deliver."""

    id = models.UUIDField(primary_key=True, editable=False)  # made from execution, scope and step; the call's key
    # Found by the indexes below; one of the key alone would be written for nothing, in every move.
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="step_runs", db_index=False)
    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="step_runs", db_index=False)
    step_id = models.CharField(max_length=300)
    scope_path = models.TextField(blank=True)
    step_type = models.CharField(max_length=32)
    kind = models.CharField(max_length=16)  # act, request, timer, child, control, opener
    position = models.IntegerField()  # order of opening in the execution, from 1
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    fence = models.IntegerField(default=0)
    intent_fence = models.IntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, null=True)
    due_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(null=True)
    publications = models.SmallIntegerField(default=0)
    nudged_with = models.SmallIntegerField(default=1, db_default=1)  # step runs in its nudge, itself counted
    goes_ahead = models.BooleanField(default=False, db_default=False)  # while published: of what waits in the broker
    deadline_at = models.DateTimeField(null=True)
    effect = models.CharField(max_length=16, default="none")  # none, intended, applied, unknown
    effective_class = models.CharField(max_length=16, blank=True)
    first_intent_at = models.DateTimeField(null=True)
    class_valid_until = models.DateTimeField(null=True)
    quarantine_until = models.DateTimeField(null=True)
    lost_attempts = models.SmallIntegerField(default=0)
    tries = models.SmallIntegerField(default=0)  # attempts that came to an outcome
    #: what came out: {"output", "stderr", "exit_code", "status"}; None before
    result: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    #: what an opener decided: {"verdict": true} or {"case": "high"} or {"visits": 3}
    verdict: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    note: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: what its calls go through, once they were planned: connector:http, connection:<id>, effect_class:unsafe, effects
    needs = ArrayField(models.CharField(max_length=150), null=True)
    actor = models.CharField(max_length=300, blank=True)  # who answered, for a request
    delay = models.DurationField(null=True)  # the step's own delay, kept for the record
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            # The scope first: this index also finds the step runs of a scope.
            models.UniqueConstraint(fields=("scope", "step_id", "execution"), name="one_step_run_per_identity"),
            models.CheckConstraint(
                condition=_holds(
                    *("executions_step_run_is_sound", "status", "effect", "ended_at", "lease_until", "worker", "fence"),
                    "intent_fence",
                ),
                name="step_run_is_sound",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "due_at"), condition=QUEUED, name="step_run_queued"),
            models.Index(fields=("due_at",), condition=QUEUED, name="step_run_due"),
            # due_at stands at the end: what is not due yet is passed over in the index.
            models.Index(
                fields=("tenant", "execution", "position", "due_at"),
                condition=QUEUED
                & models.Q(published_at__isnull=True)
                & (models.Q(position__gt=1) | models.Q(started_at__isnull=False)),
                name="step_run_begun",
            ),
            models.Index(
                fields=("tenant", "execution"),
                condition=QUEUED & models.Q(published_at__isnull=True, lost_attempts__gt=0),
                name="step_run_lost",
            ),
            models.Index(
                fields=("published_at",),
                condition=QUEUED & models.Q(published_at__isnull=False),
                name="step_run_published",
            ),
            models.Index(
                fields=("tenant",),
                condition=QUEUED & models.Q(published_at__isnull=False, goes_ahead=True),
                name="step_run_ahead",
            ),
            models.Index(fields=("lease_until",), condition=models.Q(status="running"), name="step_run_leases"),
            models.Index(fields=("due_at",), condition=models.Q(status="uncertain"), name="step_run_uncertain"),
            models.Index(fields=("kind", "due_at"), condition=models.Q(status="waiting"), name="step_run_waiting"),
            models.Index(
                fields=("deadline_at",),
                condition=models.Q(status__in=("pending", "running", "retrying", "waiting")),
                name="step_run_deadlines",
            ),
            models.Index(fields=("execution", "position"), name="step_run_order"),
        )

    def __str__(self) -> str:
        return f"{self.step_id} in {self.execution_id}"


class Payload(models.Model):
    """A large value of an execution, kept apart from the rows that name it by its digest (``payloads.py``)."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+")
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="payloads", db_index=False)
    digest = models.CharField(max_length=64)  # SHA-256 of the content, in hexadecimal
    size = models.PositiveIntegerField()  # octets of the content
    content = models.BinaryField()  # JSON in UTF-8

    class Meta:
        constraints = (models.UniqueConstraint(fields=("execution", "digest"), name="one_payload_per_content"),)

    def __str__(self) -> str:
        return f"{self.size} octets"


class Attempt(models.Model):
    """One try at a step run by one worker; its number is the fence of its claim."""

    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.IntegerField()
    worker = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, blank=True)  # completed, failed, unknown, lost, ...
    code = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    #: one record a call: {"operation", "target", "key", "outcome", "status", "exit_code"}
    calls: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    #: what arrived after the fence had moved; it moves nothing
    late_note: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("step_run", "number"), name="one_attempt_per_number"),)

    def __str__(self) -> str:
        return f"attempt {self.number}"


class Event(models.Model):
    """A stored fact about an execution. Numbered without gap under the execution's lock."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.BigIntegerField()
    type = models.CharField(max_length=32)
    at = models.DateTimeField()
    step_run_id = models.UUIDField(null=True)
    data: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("execution", "seq"), name="one_event_per_seq"),)

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class Review(UUIDModel):
    """A person's word is needed: nobody can know whether an effect took place."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="reviews")
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="reviews")
    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="reviews")
    status = models.CharField(max_length=16, default="open")  # open, resolved
    why = models.TextField()
    #: command, target, arguments without secrets, times, the probe's answer
    facts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    resolution = models.CharField(max_length=16, blank=True)  # happened, again, give_up
    reason = models.TextField(blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("step_run",), condition=models.Q(status="open"), name="one_open_review_per_step_run"
            ),
        )

    def __str__(self) -> str:
        return f"review of {self.step_run_id}"


class Node(models.Model):
    """A process that works or sweeps, by its last heartbeat."""

    name = models.CharField(max_length=200, primary_key=True)
    role = models.CharField(max_length=16)  # work, sweep
    pid = models.PositiveIntegerField()
    slots = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class WebhookTarget(UUIDModel):
    """Where a tenant is told of the start and end of its executions."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="webhook_targets")
    url = models.URLField(max_length=2000)
    sealed_secret = models.TextField(blank=True, editable=False)
    allow_networks: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    is_enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.url


class OutboxMessage(UUIDModel):
    """Something to be told to the outside, written in the transaction of what it tells of."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.CASCADE, related_name="+")
    target = models.ForeignKey(WebhookTarget, on_delete=models.CASCADE, related_name="messages")
    event = models.CharField(max_length=64)
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("due_at",), condition=models.Q(sent_at=None), name="outbox_unsent"),
            # For retention: what is old, and whether anything of an execution is still to be sent.
            models.Index(fields=("tenant", "created_at"), name="outbox_oldest"),
            models.Index(
                KeyTextTransform("execution", "body"), condition=models.Q(sent_at=None), name="outbox_unsent_of"
            ),
        )

    def __str__(self) -> str:
        return self.event
