"""Reads of remediation actions, always from a tenant's incident."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet

from core.errors import NotFound
from incidents.action_models import ActionRun
from incidents.actions.base import Action
from incidents.actions.registry import ordered
from incidents.models import Incident

#: names of parameters whose values are not shown again
SECRET: Final = re.compile("password|token|secret|key", re.IGNORECASE)
REDACTED: Final = "[REDACTED]"


class ActionNotFound(NotFound):
    code = "action_not_found"


def available(incident: Incident) -> list[Action]:
    """Return what may be done against an incident, what it suggests first; nothing once it is closed."""
    return [] if incident.status == "closed" else ordered(incident.playbooks)


def history(incident: Incident) -> QuerySet[ActionRun]:
    """Dry runs, executions and rollbacks, the oldest first."""
    return ActionRun.objects.filter(incident=incident).order_by("id")


def get_run(incident: Incident, *, id: int) -> ActionRun:
    """Raises ActionNotFound, also for a run of another incident."""
    found = ActionRun.objects.select_related("incident__tenant").filter(incident=incident, pk=id).first()
    if found is None:
        raise ActionNotFound("Action not found")
    return found


def redacted(params: Any) -> Any:
    """Return parameters as they may be shown: the values of those that are named like a secret left out."""
    if isinstance(params, Mapping):
        return {name: REDACTED if SECRET.search(name) else redacted(value) for name, value in params.items()}
    if isinstance(params, list):
        return [redacted(value) for value in params]
    return params
