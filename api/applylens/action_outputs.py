"""What is said of actions, in the contract's words. Serializers describe it for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rest_framework import serializers

from incidents.action_models import ActionRun, ActionStatus
from incidents.actions.base import Action
from incidents.actions.reading import redacted
from incidents.models import Incident

STATUSES = ActionStatus.choices


class ApplyLensAvailableAction(serializers.Serializer):  # type: ignore[type-arg]
    action_type = serializers.CharField()
    display_name = serializers.CharField()
    description = serializers.CharField()
    params = serializers.DictField(child=serializers.CharField())
    requires_approval = serializers.BooleanField()
    estimated_duration = serializers.CharField()
    estimated_cost = serializers.CharField()


class ApplyLensAvailableActions(serializers.Serializer):  # type: ignore[type-arg]
    incident_id = serializers.IntegerField()
    available_actions = ApplyLensAvailableAction(many=True)


class ApplyLensDryRun(serializers.Serializer):  # type: ignore[type-arg]
    action_type = serializers.CharField()
    status = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()
    estimated_duration = serializers.FloatField()
    estimated_cost = serializers.FloatField()
    changes = serializers.ListField(child=serializers.CharField())
    requires_approval = serializers.BooleanField()


class ApplyLensExecuted(serializers.Serializer):  # type: ignore[type-arg]
    action_id = serializers.IntegerField()
    action_type = serializers.CharField()
    status = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()
    estimated_duration = serializers.FloatField()
    actual_duration = serializers.FloatField()
    estimated_cost = serializers.FloatField()
    logs_url = serializers.CharField(allow_null=True)
    rollback_available = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField()


class ApplyLensRolledBack(serializers.Serializer):  # type: ignore[type-arg]
    action_id = serializers.IntegerField()
    action_type = serializers.CharField()
    status = serializers.CharField()
    message = serializers.CharField()
    rollback_of = serializers.IntegerField()


class ApplyLensActionResult(serializers.Serializer):  # type: ignore[type-arg]
    actual_duration = serializers.FloatField()
    logs_url = serializers.CharField(allow_null=True)


class ApplyLensActionOfHistory(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.IntegerField()
    action_type = serializers.CharField()
    params = serializers.DictField()
    dry_run = serializers.BooleanField()
    status = serializers.CharField()
    approved_by = serializers.CharField(allow_null=True)
    result = ApplyLensActionResult(required=False)
    created_at = serializers.DateTimeField()


class ApplyLensActionHistory(serializers.Serializer):  # type: ignore[type-arg]
    incident_id = serializers.IntegerField()
    actions = ApplyLensActionOfHistory(many=True)


def listed(incident: Incident, actions: Iterable[Action]) -> dict[str, Any]:
    return {"incident_id": incident.pk, "available_actions": [_available(action) for action in actions]}


def dry_run(run: ActionRun, *, requires_approval: bool) -> dict[str, Any]:
    return {
        "action_type": run.action_type,
        "status": run.status,
        "message": run.message,
        "details": run.details,
        "estimated_duration": number(run.estimated_duration),
        "estimated_cost": number(run.estimated_cost),
        "changes": run.changes,
        "requires_approval": requires_approval,
    }


def executed(run: ActionRun) -> dict[str, Any]:
    return {
        "action_id": run.pk,
        "action_type": run.action_type,
        "status": run.status,
        "message": run.message,
        "details": run.details,
        "estimated_duration": number(run.estimated_duration),
        "actual_duration": number(run.actual_duration or 0),
        "estimated_cost": number(run.estimated_cost),
        "logs_url": run.logs_url,
        "rollback_available": run.compensation is not None and run.rolled_back_by_id is None,
        "created_at": second(run.created_at),
        "completed_at": second(run.completed_at),
    }


def rolled_back(run: ActionRun, *, to: str) -> dict[str, Any]:
    return {
        "action_id": run.pk,
        "action_type": run.action_type,
        "status": run.status,
        "message": f"Rolled back to {to}",
        "rollback_of": run.rollback_of_id,
    }


def history(incident: Incident, runs: Iterable[ActionRun]) -> dict[str, Any]:
    return {"incident_id": incident.pk, "actions": [_of_history(run) for run in runs]}


def _available(action: Action) -> dict[str, Any]:
    return {
        "action_type": action.action_type,
        "display_name": action.display_name,
        "description": action.description,
        "params": {param.name: param.text for param in action.params},
        "requires_approval": action.requires_approval,
        "estimated_duration": action.duration,
        "estimated_cost": action.cost,
    }


def _of_history(run: ActionRun) -> dict[str, Any]:
    shown = {
        "id": run.pk,
        "action_type": run.action_type,
        "params": redacted(run.params),
        "dry_run": run.dry_run,
        "status": run.status,
        "approved_by": run.approved_by,
    }
    if not run.dry_run and run.completed_at is not None:
        shown["result"] = {"actual_duration": number(run.actual_duration or 0), "logs_url": run.logs_url}
    return {**shown, "created_at": second(run.created_at)}


def number(value: float) -> float | int:
    """A whole number without its decimal point, as the contract's examples have it."""
    return int(value) if float(value).is_integer() else value


def second(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
