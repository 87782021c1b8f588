"""Writes dry runs and starts executions of remediation actions: each a one-step execution of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import Tenant
from connectors.registry import operations
from core import strict_json
from core.actors import Actor
from core.errors import Conflict
from executions.services import StartKeyReused, start_execution
from incidents.action_models import ActionRun
from incidents.actions.base import Plan
from incidents.actions.ending import tell
from incidents.actions.proposing import Proposal
from incidents.actions.registry import ACTIONS
from incidents.models import Incident
from playbooks.cacao import stored
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from playbooks.models import PlaybookVersion
from playbooks.services import store_dialect

#: the one step of such an execution
STEP = "act"


class NoRollback(Conflict):
    code = "no_rollback"


def run_dry(proposal: Proposal, *, actor: Actor, now: datetime) -> ActionRun:
    """Store what would be done. Nothing is carried out."""
    plan = proposal.plan
    run = _row(proposal, actor=actor, now=now)
    run.dry_run, run.completed_at = True, now
    run.status = "dry_run_success" if plan else "dry_run_failed"
    run.message = plan.message if plan else proposal.failure
    run.details = dict(plan.details) if plan else {}
    run.changes = list(plan.changes) if plan else []
    run.save()
    return run


@transaction.atomic
def run_action(
    proposal: Proposal,
    *,
    approved_by: str | None,
    actor: Actor,
    now: datetime,
    start_key: str | None = None,
    start_digest: str = "",
    rollback_of: ActionRun | None = None,
) -> ActionRun:
    """Start an action. It runs when this returns, or has failed where nobody can say what it would do.

    The caller has asked ``check_approval``. With a ``start_key`` that was used before, the first run is returned.
    Raises StartKeyReused, NoRollback (another rollback was faster), QueueFull.
    """
    run = _row(proposal, actor=actor, now=now)
    run.approved_by, run.rollback_of = approved_by, rollback_of
    run.start_key, run.start_digest = start_key, start_digest
    plan = proposal.plan
    if plan is not None:
        run.status, run.details, run.compensation = "running", dict(plan.resolved), _as_dict(plan.compensation)
    else:
        run.status, run.message, run.completed_at = "failed", proposal.failure, now
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError as error:
        return _first(run, error)
    if plan is None:
        tell(run, at=now)
        return run
    run.execution = start_execution(
        tenant=proposal.incident.tenant,
        version=_version(proposal.incident.tenant, proposal.action.action_type, plan, actor=actor, now=now),
        inputs={"overrides": dict(plan.arguments)},
        actor=actor,
        now=now,
    )
    run.save(update_fields=["execution"])
    return run


def find_started(start_key: str | None, start_digest: str) -> ActionRun | None:
    """Return the run that this key started. Raises StartKeyReused."""
    run = ActionRun.objects.select_related("incident").filter(start_key=start_key).first() if start_key else None
    if run is not None and run.start_digest != start_digest:
        raise StartKeyReused("This Idempotency-Key was used with another body. Use a new key for a new start.")
    return run


def check_rollback(run: ActionRun) -> Mapping[str, Any]:
    """Return what undoes a run: ``{"action_type", "params", "to"}``. Raises NoRollback."""
    if run.dry_run:
        raise NoRollback("A dry run has done nothing that could be rolled back.")
    if run.status != "success":
        raise NoRollback(f"Only an action that succeeded is rolled back; this one is {run.status}.")
    if run.rolled_back_by_id is not None:
        raise NoRollback("The action was rolled back already.")
    if not run.compensation or run.compensation["action_type"] not in ACTIONS:
        raise NoRollback(f"The action {run.action_type} cannot be rolled back.")
    return run.compensation


def _row(proposal: Proposal, *, actor: Actor, now: datetime) -> ActionRun:
    incident: Incident = proposal.incident
    return ActionRun(
        tenant_id=incident.tenant_id,
        incident=incident,
        action_type=proposal.action.action_type,
        params=dict(proposal.params),
        caller={"kind": actor.kind.value, "id": actor.id, "name": actor.name, "person": str(actor.person or "")},
        estimated_duration=proposal.plan.duration if proposal.plan else 0,
        estimated_cost=proposal.plan.cost if proposal.plan else 0,
        created_at=now,
    )


def _first(run: ActionRun, error: IntegrityError) -> ActionRun:
    """Two at once: the other one of this key runs, or the other rollback."""
    if "one_live_rollback" in str(error):
        raise NoRollback("The action is being rolled back already.") from None
    found = find_started(run.start_key, run.start_digest) if "one_action_per_start_key" in str(error) else None
    if found is None:
        raise error
    return found


def _version(tenant: Tenant, action_type: str, plan: Plan, *, actor: Actor, now: datetime) -> PlaybookVersion:
    """The hidden playbook of one step that makes this call, stored at its first use.

    The values of the parameters are no part of it: a start gives them, and no template is read in them.
    """
    workflow = _workflow(plan)
    label = hashlib.sha256(strict_json.dumps(stored.to_json(workflow))).hexdigest()[:32]
    slug = f"applylens-{action_type}".replace("_", "-")
    versions = PlaybookVersion.objects.filter(tenant=tenant, label=label, playbook__slug=slug)
    found = versions.filter(playbook__is_listed=False, playbook__archived_at=None).order_by("created_at").first()
    return found or store_dialect(
        tenant=tenant,
        octets=b"{}",
        dialect=workflow.dialect,
        workflow=workflow,
        slug=slug,
        name=f"Remediation: {ACTIONS[action_type].display_name}",
        description=ACTIONS[action_type].description,
        label=label,
        trigger={},
        tags=[],
        step_count=1,
        cacao_id=f"playbook--{uuid4()}",
        listed=False,
        actor=actor,
        now=now,
    )


def _workflow(plan: Plan) -> Workflow:
    """One step. What nobody knows the end of fails (the review stays open), and its time is the action's."""
    reference = operations()[plan.operation].reference or plan.operation
    act = Step(
        id=STEP,
        type=StepType.ACTION,
        operation=Operation(plan.operation, reference, dict.fromkeys(sorted(plan.arguments))),
        timeout=settings.APPLYLENS_ACTION_LIMIT,
        on_unknown="fail",
        on_success="end",
    )
    start = Step(id="start", type=StepType.START, on_completion=STEP)
    return Workflow(
        start="start", dialect="s4e", steps={"start": start, STEP: act, "end": Step(id="end", type=StepType.END)}
    )


def _as_dict(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
