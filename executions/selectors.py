"""Reads of executions, always from a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Tenant
from core.errors import NotFound
from executions import payloads
from executions.engine.apart import whole
from executions.engine.variables import public
from executions.models import Event, Execution, Review, Scope, StepRun
from playbooks.cacao.types import Value


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


def list_step_runs(execution: Execution) -> QuerySet[StepRun]:
    """In the order in which they were opened."""
    return StepRun.objects.filter(execution=execution).order_by("position")


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


def get_review(tenant: Tenant, id: UUID) -> Review:
    found = Review.objects.filter(tenant=tenant, pk=id).select_related("execution", "step_run").first()
    if found is None:
        raise ReviewNotFound("There is no such review.")
    return found
