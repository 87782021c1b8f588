"""The endpoints of remediation actions: dry run, execute and wait, roll back, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.serializers import Serializer

from api import throttling
from api.applylens import action_outputs as outputs
from api.applylens.action_inputs import ApplyLensDryRunInput, ApplyLensExecuteInput, ApplyLensRollbackInput, named
from api.applylens.action_waiting import places, wait_for_end
from api.applylens.errors import FAMILY, ApplyLensView
from api.base import Body, FamilyRequest, Kind, Refusal, Response
from api.idempotency import start_key
from incidents.action_models import ActionRun
from incidents.actions import reading
from incidents.actions.ending import TIMED_OUT
from incidents.actions.proposing import Proposal, check_approval, propose
from incidents.actions.registry import ACTIONS
from incidents.actions.starting import check_rollback, find_started, run_action, run_dry
from incidents.models import Incident
from incidents.selectors import get_incident

DRY_RUNS_AN_HOUR: Final = 100
EXECUTIONS_AN_HOUR: Final = 10


class IncidentActions(ApplyLensView):
    """GET /api/playbooks/incidents/{id}/actions"""

    permissions = {"GET": "incidents:read"}

    @extend_schema(operation_id="applylens_list_actions", responses=outputs.ApplyLensAvailableActions)
    def get(self, request: FamilyRequest, incident: int) -> Response:
        """List what may be done against an incident, what it suggests first."""
        found = get_incident(request.tenant, incident)
        return Response(outputs.listed(found, reading.available(found)))


class IncidentActionHistory(ApplyLensView):
    """GET /api/playbooks/incidents/{id}/actions/history"""

    permissions = {"GET": "incidents:read"}

    @extend_schema(operation_id="applylens_list_action_history", responses=outputs.ApplyLensActionHistory)
    def get(self, request: FamilyRequest, incident: int) -> Response:
        """List dry runs, executions and rollbacks of an incident, the oldest first."""
        found = get_incident(request.tenant, incident)
        return Response(outputs.history(found, reading.history(found)))


class IncidentActionDryRun(ApplyLensView):
    """POST /api/playbooks/incidents/{id}/actions/dry-run"""

    permissions = {"POST": "incidents:execute"}

    @extend_schema(
        operation_id="applylens_dry_run_action", request=ApplyLensDryRunInput, responses=outputs.ApplyLensDryRun
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Say what an action would do, and store that it was asked."""
        found = get_incident(request.tenant, incident)
        action = named(request.data)
        given = _checked(ApplyLensDryRunInput(data=request.data))
        proposal = propose(incident=found, action=action, params=given["params"])
        _count("dry-runs", found, DRY_RUNS_AN_HOUR)
        run = run_dry(proposal, actor=request.actor, now=request.now)
        if proposal.plan is None:
            raise Refusal(Kind.INTERNAL, run.message)
        return Response(outputs.dry_run(run, requires_approval=proposal.plan.requires_approval))


class IncidentActionExecute(ApplyLensView):
    """POST /api/playbooks/incidents/{id}/actions/execute"""

    permissions = {"POST": "incidents:execute"}

    @extend_schema(
        operation_id="applylens_execute_action", request=ApplyLensExecuteInput, responses=outputs.ApplyLensExecuted
    )
    def post(self, request: FamilyRequest, incident: int) -> Response:
        """Carry an action out and answer with its end."""
        found = get_incident(request.tenant, incident)
        action = named(request.data)
        given = _checked(ApplyLensExecuteInput(data=request.data))
        key = start_key(request, FAMILY, f"execute {found.pk}")
        run = find_started(*key)
        with places.one():
            if run is None:
                proposal = propose(incident=found, action=action, params=given["params"])
                run = _started(request, proposal, approved_by=given["approved_by"], key=key)
            return Response(outputs.executed(_ended(run)))


class IncidentActionRollback(ApplyLensView):
    """POST /api/playbooks/incidents/{id}/actions/{action_id}/rollback"""

    permissions = {"POST": "incidents:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="applylens_rollback_action",
        request=ApplyLensRollbackInput,
        responses=outputs.ApplyLensRolledBack,
    )
    def post(self, request: FamilyRequest, incident: int, action: int) -> Response:
        """Undo an action by the one that compensates it, and answer with its end."""
        found = get_incident(request.tenant, incident)
        undone = reading.get_run(found, id=action)
        given = _checked(ApplyLensRollbackInput(data=request.data))
        key = start_key(request, FAMILY, f"rollback {undone.pk}")
        run = find_started(*key)
        with places.one():
            if run is None:
                back = check_rollback(undone)
                proposal = propose(incident=found, action=ACTIONS[back["action_type"]], params=back["params"])
                run = _started(request, proposal, approved_by=given["approved_by"], key=key, rollback_of=undone)
            back = undone.compensation or {}
            return Response(outputs.rolled_back(_ended(run), to=str(back.get("to"))))


def _checked(body: Serializer[Any]) -> Mapping[str, Any]:
    body.is_valid(raise_exception=True)
    found: Mapping[str, Any] = body.validated_data
    return found


def _started(
    request: FamilyRequest,
    proposal: Proposal,
    *,
    approved_by: str | None,
    key: tuple[str | None, str],
    rollback_of: ActionRun | None = None,
) -> ActionRun:
    """Only what passed validation, state and approval counts against the incident's limit."""
    check_approval(proposal, approved_by=approved_by, actor=request.actor)
    _count("executions", proposal.incident, EXECUTIONS_AN_HOUR)
    return run_action(
        proposal,
        approved_by=approved_by,
        actor=request.actor,
        now=request.now,
        start_key=key[0],
        start_digest=key[1],
        rollback_of=rollback_of,
    )


def _ended(run: ActionRun) -> ActionRun:
    """Wait for the end of a run. Raises Refusal: INTERNAL for a failure, TIMEOUT where the time was over."""
    if run.completed_at is None and run.execution_id is not None:
        wait_for_end(run.pk, run.execution_id)
        run.refresh_from_db()
    if run.completed_at is None or run.details.get("reason") == TIMED_OUT:
        raise Refusal(Kind.TIMEOUT, run.message or "The action was not done in its time.")
    if run.status != "success":
        raise Refusal(Kind.INTERNAL, run.message)
    return run


def _count(what: str, incident: Incident, limit: int) -> None:
    """Count a call against its incident; on a 429 the headers are those of this limit."""
    subject = f"{incident.tenant_id} {incident.pk}"
    throttling.count([throttling.Limit(f"applylens-{what}", subject, limit, timedelta(hours=1))])
