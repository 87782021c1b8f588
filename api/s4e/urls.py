"""Every path of this family, printed whole. PUT, PATCH and DELETE are 405; actions, findings and events are 404."""

from __future__ import annotations

from django.urls import URLPattern

from api import dialects
from api.routing import routes
from api.s4e import (
    ids,  # noqa: F401  (registers the converters)
    outputs,
    views,
)
from api.s4e.dialect.exporting import cacao_step_id
from api.s4e.dialect.storing import DIALECT

dialects.register(DIALECT, outputs.written_as_cacao, step_id=cacao_step_id)

urlpatterns: list[URLPattern] = routes(
    {
        "/api/playbooks": views.Playbooks,
        "/api/playbooks/import": views.PlaybooksImport,
        "/api/playbooks/<s4e_playbook:playbook>": views.PlaybookDetail,
        "/api/playbooks/<s4e_playbook:playbook>/run": views.PlaybookRun,
        "/api/playbooks/<s4e_playbook:playbook>/export": views.PlaybookExport,
        "/api/playbooks/executions/<s4e_execution:execution>": views.ExecutionDetail,
        "/api/playbooks/executions/<s4e_execution:execution>/steps": views.ExecutionSteps,
        "/api/playbooks/executions/<s4e_execution:execution>/cancel": views.ExecutionCancel,
        "/api/playbooks/executions/<s4e_execution:execution>/pause": views.ExecutionPause,
        "/api/playbooks/executions/<s4e_execution:execution>/resume": views.ExecutionResume,
        "/api/playbooks/executions/<s4e_execution:execution>/steps/<s4e_segment:step>/approve": views.StepApprove,
        "/api/playbooks/executions/<s4e_execution:execution>/steps/<s4e_segment:step>/reject": views.StepReject,
    }
)
