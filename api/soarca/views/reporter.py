"""/reporter: what became of executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema

from api.base import FamilyRequest, Kind, Refusal, Response
from api.pagination import whole_number
from api.soarca import ids, reports, schema
from api.soarca.errors import SoarcaView
from core.database import planned_anew
from executions.selectors import ExecutionNotFound, get_execution, list_executions
from manual.selectors import list_of_step_runs
from playbooks.selectors import workflow_by_id

if TYPE_CHECKING:
    from executions.models import Execution


class Reports(SoarcaView):
    """GET /reporter"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="soarca_list_reports", parameters=schema.PAGE, responses=schema.SoarcaReport(many=True))
    def get(self, request: FamilyRequest) -> Response:
        """List the reports of executions, the newest first. Values over 128 KiB are in the report itself only."""
        limit = whole_number(request, "limit", default=100, minimum=1, maximum=1_000)
        offset = whole_number(request, "offset", default=0, minimum=0, maximum=10**9)
        # Of the version its id is enough; its document is large.
        newest = list_executions(request.tenant).select_related(None).select_related("playbook")
        newest = newest.prefetch_related("step_runs")
        with planned_anew():
            found = list(newest[offset : offset + limit])
        return Response(_reports(found, in_full=False))


class Report(SoarcaView):
    """GET /reporter/{execution-id}"""

    permissions = {"GET": "playbooks:read"}

    @extend_schema(operation_id="soarca_get_report", responses=schema.SoarcaReport)
    def get(self, request: FamilyRequest, execution: str) -> Response:
        """Return the report of one execution, also while it goes on."""
        try:
            found = get_execution(request.tenant, id=ids.execution_id(execution))
        except ExecutionNotFound:
            raise Refusal(Kind.NOT_FOUND, "There is no such execution.") from None
        return Response(_reports([found], in_full=True)[0])


def _reports(executions: Sequence[Execution], *, in_full: bool) -> list[dict[str, Any]]:
    runs = {execution.pk: sorted(execution.step_runs.all(), key=lambda run: run.position) for execution in executions}
    asked = [run.pk for of_one in runs.values() for run in of_one if run.kind == "request"]
    people = {found.step_run_id: found.answered_by for found in list_of_step_runs(asked) if found.answered_by}
    return [
        reports.report(execution, runs[execution.pk], workflow_by_id(execution.version_id), people, in_full=in_full)
        for execution in executions
    ]
