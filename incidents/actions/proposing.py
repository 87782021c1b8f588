"""From an action's name and parameters to what would be done, by whose leave. Changes nothing; may read the planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from accounts.models import Tenant, User
from accounts.permissions import permissions_of
from connectors import dispatch
from connectors.base import OutcomeKind
from core.actors import Actor
from core.errors import Conflict, Forbidden
from core.models import uuid7
from incidents.actions.base import Action, Plan, Planner
from incidents.models import Incident

#: how long the planner may take to say what is the case
READING = timedelta(seconds=10)
APPROVE = "incidents:approve"


class IncidentClosed(Conflict):
    code = "incident_closed"


class NotApproved(Forbidden):
    code = "not_approved"


class _Unreadable(Exception):
    pass


@dataclass(frozen=True)
class Proposal:
    """``params`` as they were given. ``plan`` None: nobody can say what would be done, and ``failure`` says why."""

    incident: Incident
    action: Action
    params: Mapping[str, Any]
    plan: Plan | None
    failure: str = ""


def propose(*, incident: Incident, action: Action, params: Mapping[str, Any]) -> Proposal:
    """Return what ``action`` would do. Raises IncidentClosed, ParamsInvalid."""
    if incident.status == "closed":
        raise IncidentClosed("The incident is closed.")
    checked = action.checked(params)
    try:
        planner = _planner(incident.tenant) if action.reads_planner(checked) else None
    except _Unreadable as error:
        return Proposal(incident, action, params, None, f"The planner cannot be read: {error}")
    return Proposal(incident, action, params, action.plan(checked, planner))


def check_approval(proposal: Proposal, *, approved_by: str | None, actor: Actor) -> None:
    """Raise NotApproved where the plan needs leave, and ``approved_by`` names nobody who may give it."""
    if proposal.plan is None or not proposal.plan.requires_approval:
        return
    if approved_by is None:
        raise NotApproved("This action needs approval: name who approved it in approved_by.")
    tenant = proposal.incident.tenant
    approver = User.objects.filter(tenant=tenant, email__iexact=approved_by, is_active=True).first()
    if approver is None or APPROVE not in permissions_of(approver.role):
        raise NotApproved(f"approved_by must be the e-mail of an active user with the permission {APPROVE}.")
    if tenant.four_eyes and approver.pk == actor.person:
        raise NotApproved("approved_by must be somebody else than the caller.")


def _planner(tenant: Tenant) -> Planner:
    """Ask the planner connection what is the case. A read: it is no step of any execution."""
    call = dispatch.Call(key=str(uuid7()), arguments={}, operation="planner.versions")
    planned = dispatch.plan(tenant_id=tenant.pk, calls=[call])
    result = dispatch.carry_out(planned, fence=1, headers={}, before_send=None, time_limit=READING)
    if result.outcome.kind != OutcomeKind.COMPLETED:
        raise _Unreadable(result.outcome.message)
    found = result.outcome.output
    return Planner(stable=found["stable"], previous=found["previous"], percents=found["percents"])
