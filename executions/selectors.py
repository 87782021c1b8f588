"""Reads of executions, always from a tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Tenant
from core.errors import NotFound
from executions.engine.variables import public
from executions.models import Event, Execution, Review, Scope, StepRun
from playbooks.cacao.types import Value


class ExecutionNotFound(NotFound):
    code = "execution_not_found"


class ReviewNotFound(NotFound):
    code = "review_not_found"


def list_executions(tenant: Tenant) -> QuerySet[Execution]:
    """Newest first. Children are listed like any other execution."""
    return Execution.objects.filter(tenant=tenant).select_related("playbook", "version").order_by("-created_at", "id")


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
    """Return the playbook's variables as they are now."""
    root = Scope.objects.filter(execution=execution, path="").first()
    return public(root.variables) if root else {}


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
