"""/api/native/executions: start, list, look into, hold, stop and repeat executions."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter

from api.base import Body, FamilyRequest, Response
from api.idempotency import start_key
from api.native import ids, outputs, queries, schema, starting
from api.native.errors import FAMILY, NativeView
from api.native.inputs import CancelInput, NothingInput, StartInput
from api.pagination import one_of, whole_number
from executions import selectors
from executions.services import (
    StartRefused,
    cancel_execution,
    pause_execution,
    resume_execution,
    run_again,
    start_execution,
)
from executions.waits import KINDS
from playbooks.selectors import get_version, latest_version

if TYPE_CHECKING:
    from executions.models import Attempt, Execution, StepRun

STATUSES = ("pending", "running", "paused", "completed", "failed", "cancelled")
#: whole kinds of waits that a list can be asked for; "nothing" is an alarm and no state
WAITS = tuple(kind for kind in KINDS if kind != "nothing")
MOST_CHILDREN = 100
FILTERS = [
    OpenApiParameter("status", str, enum=STATUSES),
    OpenApiParameter("playbook", str, description="UUID, pb-<slug> or playbook--<uuid>."),
    OpenApiParameter("dialect", str),
    OpenApiParameter("parent", str, description="Children of this execution: UUID or pexec-<n>."),
    OpenApiParameter("created_after", datetime, description="ISO 8601 with a zone; `+` is written %2B."),
    OpenApiParameter("created_before", datetime),
    OpenApiParameter("waiting_for", str, enum=WAITS, description="Waits for something of that kind."),
]


class Executions(NativeView):
    """GET and POST /api/native/executions"""

    permissions = {"GET": "playbooks:read", "POST": "playbooks:execute"}

    @schema.operation(
        "list_executions", "List executions", query=[*FILTERS, *schema.PAGE], problems=[400, 422],
        answers={200: schema.paged(schema.NativeExecution)},
    )  # fmt: skip
    def get(self, request: FamilyRequest) -> Response:
        """List executions, children among them, the newest first."""
        found, filters = _filtered(request)
        rows, following = queries.page(
            request, found, name="executions", filters=filters,
            key=lambda row: queries.newest_key(row.created_at, row.pk), after=_older,
        )  # fmt: skip
        waits = selectors.waits_of(rows)
        return Response({"items": [outputs.execution(row, waits.get(row.pk)) for row in rows], "next": following})

    @schema.operation(
        "start_execution", "Start a playbook", takes=StartInput, query=[schema.START_KEY],
        problems=[400, 404, 409, 413, 415, 422, 429],
        answers={201: schema.NativeExecutionOne, 200: schema.NativeExecutionOne},
    )  # fmt: skip
    def post(self, request: FamilyRequest) -> Response:
        """Start a playbook: 201. The same Idempotency-Key and body again: 200, and the execution that is there."""
        key, digest = start_key(request, FAMILY, "executions")
        body = StartInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        playbook = ids.playbook_of(request.tenant, given["playbook"])
        starting.check_enabled(playbook)
        version = get_version(playbook, given["version"]) if "version" in given else latest_version(playbook)
        try:
            execution = start_execution(
                tenant=request.tenant,
                version=version,
                inputs=starting.inputs_of(
                    version, variables=given.get("variables"), parameters=given.get("parameters")
                ),
                options={"dry_run": True} if given["dry_run"] else {},
                actor=request.actor,
                start_key=key,
                start_digest=digest,
                deadline=timedelta(seconds=given["deadline"]) if "deadline" in given else None,
                now=request.now,
            )
        except StartRefused as error:
            raise starting.said_of(error) from error
        return _started(execution)


class ExecutionDetail(NativeView):
    """GET /api/native/executions/{id}"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation(
        "get_execution", "Get an execution", answers={200: schema.NativeExecutionOne}, problems=[404]
    )  # fmt: skip
    def get(self, request: FamilyRequest, execution: str) -> Response:
        """Return an execution with what it waits for."""
        return Response(_one(ids.execution_of(request.tenant, execution)))


class ExecutionSteps(NativeView):
    """GET /api/native/executions/{id}/steps"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation(
        "list_step_runs", "List the step runs of an execution", query=schema.PAGE, problems=[400, 404, 422],
        answers={200: schema.paged(schema.NativeStepRun)},
    )  # fmt: skip
    def get(self, request: FamilyRequest, execution: str) -> Response:
        """List the step runs in the order in which they were opened, each with its attempts."""
        found = ids.execution_of(request.tenant, execution)
        rows, following = queries.page(
            request, selectors.with_small_results(selectors.list_step_runs(found)), name="steps",
            filters={"execution": found.pk}, key=lambda row: [str(row.position)], after=_later_opened,
        )  # fmt: skip
        attempts = _attempts_of([row.pk for row in rows])
        return Response({"items": [outputs.step_run(row, attempts[row.pk]) for row in rows], "next": following})


class ExecutionEvents(NativeView):
    """GET /api/native/executions/{id}/events"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation(
        "list_events", "List the events of an execution", problems=[404, 422], answers={200: schema.NativeEvents},
        query=[
            OpenApiParameter("after", int, default=0, description="Events with a greater `seq`."),
            OpenApiParameter("limit", int, default=100, description="1 to 1000."),
        ],
    )  # fmt: skip
    def get(self, request: FamilyRequest, execution: str) -> Response:
        """List the events after a number, in order and without gap."""
        after = whole_number(request, "after", default=0, minimum=0, maximum=10**18 - 1)
        limit = whole_number(request, "limit", default=100, minimum=1, maximum=1_000)
        found = ids.execution_of(request.tenant, execution)
        rows = list(selectors.list_events(found, after=after, limit=limit + 1))
        following = rows[limit - 1].seq if len(rows) > limit else None
        return Response({"items": [outputs.event(row) for row in rows[:limit]], "next": following})


class ExecutionPause(NativeView):
    """POST /api/native/executions/{id}/pause"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @schema.operation(
        "pause_execution", "Hold an execution and its children", takes=NothingInput,
        answers={200: schema.NativeExecutionOne}, problems=[400, 404, 409, 422],
    )  # fmt: skip
    def post(self, request: FamilyRequest, execution: str) -> Response:
        """Hold it and its children: what runs comes to its end, nothing else starts. Idempotent."""
        _check_nothing(request)
        found = ids.execution_of(request.tenant, execution)
        return Response(_one(pause_execution(execution=found, actor=request.actor, now=request.now)))


class ExecutionResume(NativeView):
    """POST /api/native/executions/{id}/resume"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @schema.operation(
        "resume_execution", "Let a held execution go on", takes=NothingInput,
        answers={200: schema.NativeExecutionOne}, problems=[400, 404, 409, 422],
    )  # fmt: skip
    def post(self, request: FamilyRequest, execution: str) -> Response:
        """Lift the hold, here and on the children it was put on. Idempotent."""
        _check_nothing(request)
        found = ids.execution_of(request.tenant, execution)
        return Response(_one(resume_execution(execution=found, actor=request.actor, now=request.now)))


class ExecutionCancel(NativeView):
    """POST /api/native/executions/{id}/cancel"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @schema.operation(
        "cancel_execution", "Stop an execution and its children", takes=CancelInput,
        answers={200: schema.NativeExecutionOne}, problems=[400, 404, 409, 422],
    )  # fmt: skip
    def post(self, request: FamilyRequest, execution: str) -> Response:
        """Stop it and its children: no step starts from now on; a running attempt has its grace."""
        body = CancelInput(data=request.data)
        body.is_valid(raise_exception=True)
        found = ids.execution_of(request.tenant, execution)
        reason = body.validated_data["reason"]
        return Response(_one(cancel_execution(execution=found, actor=request.actor, now=request.now, reason=reason)))


class ExecutionRunAgain(NativeView):
    """POST /api/native/executions/{id}/run-again"""

    permissions = {"POST": "playbooks:execute"}
    bodies = {"POST": Body.OPTIONAL}

    @schema.operation(
        "run_again", "Run an ended execution again", takes=NothingInput, query=[schema.START_KEY],
        problems=[400, 404, 409, 422], answers={201: schema.NativeExecutionOne, 200: schema.NativeExecutionOne},
    )  # fmt: skip
    def post(self, request: FamilyRequest, execution: str) -> Response:
        """Start the same version with the same inputs as a new execution, whose `again_of` is this one."""
        _check_nothing(request)
        found = ids.execution_of(request.tenant, execution)
        key, digest = start_key(request, FAMILY, f"run-again {found.pk}")
        starting.check_enabled(found.playbook)
        try:
            again = run_again(execution=found, actor=request.actor, start_key=key, start_digest=digest, now=request.now)
        except StartRefused as error:
            raise starting.said_of(error) from error
        return _started(again)


def _filtered(request: FamilyRequest) -> tuple[QuerySet[Execution], dict[str, Any]]:
    filters = {
        "status": one_of(request, "status", STATUSES),
        "playbook": queries.text(request, "playbook"),
        "dialect": queries.text(request, "dialect"),
        "parent": queries.text(request, "parent"),
        "created_after": queries.moment(request, "created_after"),
        "created_before": queries.moment(request, "created_before"),
        "waiting_for": one_of(request, "waiting_for", WAITS),
    }
    found = selectors.list_light(selectors.list_executions(request.tenant))
    for name in ("status", "dialect"):
        if filters[name] is not None:
            found = found.filter(**{name: filters[name]})
    if filters["playbook"] is not None:
        found = found.filter(ids.of_playbook(str(filters["playbook"])))
    if filters["parent"] is not None:
        found = found.filter(ids.of_parent(str(filters["parent"])))
    if filters["created_after"] is not None:
        found = found.filter(created_at__gt=filters["created_after"])
    if filters["created_before"] is not None:
        found = found.filter(created_at__lt=filters["created_before"])
    if filters["waiting_for"] is not None:
        found = selectors.waiting_for(found, str(filters["waiting_for"]))
    return found, filters


def _older(found: QuerySet[Execution], place: list[str]) -> QuerySet[Execution]:
    at, pk = datetime.fromisoformat(place[0]), UUID(place[1])
    return found.filter(Q(created_at__lt=at) | Q(created_at=at, pk__gt=pk))


def _later_opened(found: QuerySet[StepRun], place: list[str]) -> QuerySet[StepRun]:
    return found.filter(position__gt=int(place[0]))


def _attempts_of(step_runs: list[UUID]) -> dict[UUID, list[Attempt]]:
    attempts: dict[UUID, list[Attempt]] = defaultdict(list)
    for attempt in selectors.list_attempts(step_runs):
        attempts[attempt.step_run_id].append(attempt)
    return attempts


def _check_nothing(request: FamilyRequest) -> None:
    NothingInput(data=request.data).is_valid(raise_exception=True)


def _one(execution: Execution) -> dict[str, Any]:
    children = selectors.list_children(execution).values_list("pk", flat=True)[:MOST_CHILDREN]
    return {
        **outputs.execution(execution, selectors.waits_of([execution]).get(execution.pk)),
        "steps": selectors.count_step_runs(execution),
        "children": list(children),
    }


def _started(execution: Execution) -> Response:
    """201 for a start, 200 for the same one once more."""
    repeated = execution.was_started_before
    headers = {"Location": f"/api/native/executions/{execution.pk}"}
    return Response({**_one(execution), "repeated": repeated}, status=200 if repeated else 201, headers=headers)
