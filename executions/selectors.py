"""Reads of executions, always from a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, F, Func, IntegerField, JSONField, Q, QuerySet, When

from accounts.models import Tenant
from core.errors import NotFound
from executions import payloads
from executions.engine.apart import whole
from executions.engine.variables import public
from executions.figures import Figures as Figures
from executions.figures import queue_figures as queue_figures
from executions.models import Attempt, Event, Execution, Review, Scope, StepRun
from executions.waits import Wait as Wait
from executions.waits import Waits as Waits
from executions.waits import waiting_for as waiting_for
from executions.waits import waits_of as waits_of
from playbooks.cacao.types import Value

#: stored octets of a result that a list shows
SMALL_RESULT = 65_536


class ExecutionNotFound(NotFound):
    code = "execution_not_found"


class ReviewNotFound(NotFound):
    code = "review_not_found"


def list_executions(tenant: Tenant) -> QuerySet[Execution]:
    """Newest first. Children are listed like any other execution."""
    rows = Execution.objects.filter(tenant=tenant).select_related("playbook", "version")
    return rows.order_by("-created_at", "id").defer("inputs")


def get_execution(tenant: Tenant, *, id: UUID | None = None, number: int | None = None) -> Execution:
    """Return one execution by its UUID or its number. Raises ExecutionNotFound, also for another tenant's."""
    rows = Execution.objects.filter(tenant=tenant).select_related("playbook", "version")
    wanted = Q(pk=id) if id is not None else Q(number=number)
    found = rows.filter(wanted).first()
    if found is None:
        raise ExecutionNotFound("There is no such execution.")
    return found


def list_light(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """The same executions without what is large in their version, and with the step run that started each."""
    large = ("version__document", "version__workflow", "version__findings")
    return executions.select_related("parent_step_run").defer(*large, "inputs", "parent_step_run__result")


def count_step_runs(execution: Execution) -> dict[str, int]:
    """Return how many step runs are in each state, states without any left out."""
    rows = StepRun.objects.filter(execution=execution).order_by().values_list("status").annotate(Count("pk"))
    return dict(rows)


def list_children(execution: Execution) -> QuerySet[Execution]:
    """The executions that its step runs started, the newest first."""
    return list_executions(execution.tenant).filter(parent_step_run__execution=execution)


def list_attempts(step_runs: Iterable[UUID]) -> QuerySet[Attempt]:
    """Attempts of these step runs, in order."""
    return Attempt.objects.filter(step_run_id__in=list(step_runs)).order_by("step_run_id", "number")


def list_step_runs(execution: Execution) -> QuerySet[StepRun]:
    """In the order in which they were opened."""
    return StepRun.objects.filter(execution=execution).order_by("position")


def with_small_results(step_runs: QuerySet[StepRun]) -> QuerySet[StepRun]:
    """Add ``result_size`` in stored octets, and ``small_result`` where that is at most 64 KiB; leave ``result`` out."""
    size = Func(F("result"), function="pg_column_size", output_field=IntegerField())
    small = Case(When(result_size__lte=SMALL_RESULT, then=F("result")), output_field=JSONField())
    return step_runs.annotate(result_size=size).annotate(small_result=small).defer("result")


def list_events(execution: Execution, *, after: int = 0, limit: int = 1000) -> QuerySet[Event]:
    """Events with a ``seq`` greater than ``after``, in order."""
    return Event.objects.filter(execution=execution, seq__gt=after).order_by("seq")[:limit]


def final_variables(execution: Execution) -> dict[str, Value]:
    """Return the playbook's variables as they are now. Raises Damaged."""
    root = Scope.objects.filter(execution=execution, path="").first()
    return public(payloads.whole_document(execution.pk, root.variables)) if root else {}


def result_of(run: StepRun) -> Mapping[str, Any]:
    """Return ``output``, ``stderr``, ``exit_code`` and ``status`` of a step run; each an Apart if it is large."""
    found: Mapping[str, Any] = payloads.unpack(run.execution_id, run.result) or {}
    return found


def values_of(run: StepRun) -> Mapping[str, Any] | None:
    """Return what a step run wrote, name -> value, an Apart for a large one; None where it never came to that."""
    written = whole(payloads.unpack(run.execution_id, run.note, depth=2).get("values"))
    if written is None and run.kind == "request":
        written = whole(result_of(run).get("output"))
    return written if isinstance(written, Mapping) else None


def commands_of(run: StepRun) -> Sequence[str]:
    """Return the commands of a step run as the report shows them, in base64."""
    return list(whole(payloads.unpack(run.execution_id, run.note, depth=2).get("commands_b64", [])))


def list_open_reviews(tenant: Tenant) -> QuerySet[Review]:
    return (
        Review.objects.filter(tenant=tenant, status="open")
        .select_related("execution", "step_run")
        .order_by("opened_at", "id")
    )


def list_reviews(tenant: Tenant) -> QuerySet[Review]:
    """Open ones first, then the newest first."""
    found = Review.objects.filter(tenant=tenant).select_related("execution", "execution__playbook", "step_run")
    return found.defer("step_run__result", "execution__inputs").order_by("status", "-opened_at", "id")


def get_review(tenant: Tenant, id: UUID) -> Review:
    found = Review.objects.filter(tenant=tenant, pk=id).select_related("execution", "step_run").first()
    if found is None:
        raise ReviewNotFound("There is no such review.")
    return found
