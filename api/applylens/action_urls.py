"""The paths of remediation actions."""

from __future__ import annotations

from typing import Final

from api.applylens import action_views as views
from api.routing import View

_INCIDENT = "/api/playbooks/incidents/<applylens_number:incident>/actions"

ACTIONS: Final[dict[str, View]] = {
    _INCIDENT: views.IncidentActions,
    f"{_INCIDENT}/history": views.IncidentActionHistory,
    f"{_INCIDENT}/dry-run": views.IncidentActionDryRun,
    f"{_INCIDENT}/execute": views.IncidentActionExecute,
    f"{_INCIDENT}/<applylens_number:action>/rollback": views.IncidentActionRollback,
}
