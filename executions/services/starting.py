"""Starts executions: every check before anything is stored, then one small transaction (EXECUTION-SEMANTICS 6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from accounts.models import Tenant
from core import failpoints
from core.actors import Actor
from core.errors import Conflict, Invalid
from core.models import uuid7
from executions import beginning, deadlines, events, outbox, payloads
from executions.admission import check_queue
from executions.beginning import First
from executions.engine import decide
from executions.engine.starting import VariablesRefused, values_at_start
from executions.models import Execution, StepRun
from executions.stored_json import read_json
from playbooks.cacao.types import Workflow
from playbooks.models import PlaybookVersion
from playbooks.selectors import workflow_by_id

MAX_DEPTH = 10


class StartRefused(Invalid):
    """``code`` is a word of CACAO.md 12.14; nothing was stored."""

    def __init__(self, code: str, message: str, **context: Any) -> None:
        super().__init__(message, **context)
        self.code = code


class StartKeyReused(Conflict):
    code = "start_key_reused"


@transaction.atomic
def start_execution(
    *,
    tenant: Tenant,
    version: PlaybookVersion,
    inputs: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    options: Mapping[str, Any] | None = None,
    start_key: str | None = None,
    start_digest: str = "",
    parent: StepRun | None = None,
    again_of: Execution | None = None,
    deadline: timedelta | None = None,
) -> Execution:
    """Accept a start: the execution and its first step run, durable when this returns.

    ``inputs``: ``{"variables": {name: value}}`` for CACAO; ``parameters``, ``inputs``, ``asset`` and the event's
    object for S4E. With a ``start_key`` that was used before, the first execution is returned, and its
    ``was_started_before`` says so. ``again_of``: the execution that this one repeats; it counts for no queue limit.
    ``deadline``: how long it may take, where that is less than its playbook or the deployment allows.
    Raises StartRefused, StartKeyReused (another body), QueueFull.
    """
    options = dict(options or {})
    if version.playbook.stop_on_failure:
        options.setdefault("stop_on_failure", True)
    if start_key is not None:
        found = _already_started(tenant.pk, start_key, start_digest)
        if found is not None:
            return found
    check_startable(version, now=now, override_validity=bool(options.get("override_validity")))
    workflow = workflow_by_id(version.pk)
    variables = _first_variables(workflow, inputs, version.dialect)
    depth = 0 if parent is None else parent.execution.depth + 1
    if depth > MAX_DEPTH:
        raise StartRefused("limit", f"Playbooks start one another at most {MAX_DEPTH} deep.")
    if parent is None and again_of is None:
        check_queue(tenant)
    execution = _insert(
        tenant=tenant,
        version=version,
        variables=variables,
        inputs=dict(inputs),
        options=options,
        actor=actor,
        start_key=start_key,
        start_digest=start_digest,
        parent=parent,
        depth=depth,
        deadline=_deadline(workflow, deadline),
        again_of=again_of,
        now=now,
    )
    if execution is None and parent is not None:
        return Execution.objects.get(parent_step_run=parent)
    if execution is None:
        assert start_key is not None
        found = _already_started(tenant.pk, start_key, start_digest)
        assert found is not None
        return found
    failpoints.reach("before_start_commit")
    return execution


def _deadline(workflow: Workflow, asked: timedelta | None) -> timedelta:
    allowed: timedelta = workflow.timeout or settings.SALLYPORT_EXECUTION_DEADLINE
    return allowed if asked is None else min(asked, allowed)


def check_startable(version: PlaybookVersion, *, now: datetime, override_validity: bool = False) -> None:
    """Raise StartRefused for a revoked, not yet valid or expired version (D31)."""
    if version.is_revoked or PlaybookVersion.objects.filter(playbook_id=version.playbook_id, is_revoked=True).exists():
        raise StartRefused("playbook_revoked", "The playbook was revoked by its creator and is not started any more.")
    if override_validity:
        return
    if version.valid_from is not None and now < version.valid_from:
        raise StartRefused(
            "playbook_not_yet_valid", f"The playbook is valid from {version.valid_from:%Y-%m-%dT%H:%M:%SZ}."
        )
    if version.valid_until is not None and now >= version.valid_until:
        raise StartRefused(
            "playbook_expired", f"The playbook was valid until {version.valid_until:%Y-%m-%dT%H:%M:%SZ}."
        )


def _first_variables(workflow: Workflow, inputs: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    if dialect != "cacao":
        return {}
    try:
        return values_at_start(workflow, dict(inputs.get("variables", {})))
    except VariablesRefused as error:
        raise StartRefused(error.code, str(error), name=error.name) from error


def _already_started(tenant_id: UUID, start_key: str, start_digest: str) -> Execution | None:
    found = Execution.objects.filter(tenant_id=tenant_id, start_key=start_key).first()
    if found is not None and found.start_digest != start_digest:
        raise StartKeyReused("This Idempotency-Key was used with another body. Use a new key for a new start.")
    if found is not None:
        found.was_started_before = True
    return found


def _insert(
    *,
    tenant: Tenant,
    version: PlaybookVersion,
    variables: dict[str, Any],
    inputs: dict[str, Any],
    options: dict[str, Any],
    actor: Actor,
    start_key: str | None,
    start_digest: str,
    parent: StepRun | None,
    depth: int,
    deadline: timedelta,
    again_of: Execution | None,
    now: datetime,
) -> Execution | None:
    """Insert the execution with its first step run; None when another start with this key was first."""
    id_ = uuid7()
    try:
        packed = payloads.pack(id_, inputs, depth=2)
    except payloads.TooLarge as error:
        raise StartRefused(
            "inputs_too_large", f"What the start gives is too large: {error}", name=error.name
        ) from error
    root = payloads.pack(id_, variables)
    execution = Execution(
        id=id_,
        tenant=tenant,
        version=version,
        playbook_id=version.playbook_id,
        dialect=version.dialect,
        inputs=read_json(packed.text),
        options=options,
        actor={"kind": actor.kind.value, "id": actor.id, "name": actor.name, "person": str(actor.person or "")},
        start_key=start_key,
        start_digest=start_digest,
        parent_step_run=parent,
        again_of=again_of,
        depth=depth,
        last_seq=1,
        step_runs_made=1,
    )
    first = _first_step_run(execution, now)
    stored = beginning.insert(execution, first, inputs=packed.text, variables=root.text, deadline=deadline)
    if stored is None:
        return None
    execution.number, execution.created_at, execution.deadline_at = stored.number, stored.now, stored.deadline_at
    execution._state.adding, execution._state.db = False, connection.alias
    packed.store(execution.pk)
    root.store(execution.pk)
    if stored.has_webhooks:
        outbox.tell_start(execution)
    transaction.on_commit(lambda: failpoints.reach("after_start_commit"))  # before anybody is told
    transaction.on_commit(lambda: events.announce(id_, tenant.pk, wake=not first.delay), robust=True)
    return execution


def _first_step_run(execution: Execution, now: datetime) -> First:
    """The start step; a worker claims it, so that accepting a start stays small. A script waits for nothing."""
    workflow = workflow_by_id(execution.version_id)
    opened = decide.start(workflow)
    step = workflow.steps[opened.step]
    deadline = deadlines.of_step_run(step, opened.kind, now)
    return First(
        step=step.id,
        type=step.type.value,
        kind=opened.kind.value,
        wait=timedelta(0) if execution.options.get("script") else opened.delay,
        delay=opened.delay,
        deadline=None if deadline is None else deadline - now,
    )
