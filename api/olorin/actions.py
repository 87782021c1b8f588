"""The actions of an execution: its own steps that acted, and the signed actions that were carried out for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from api.olorin import catalogue, ids
from connectors.toolkit_models import ToolkitCall
from executions.models import Execution, StepRun
from playbooks.cacao.types import Step, Workflow
from playbooks.selectors import workflow_by_id

SUCCESS: Final = "success"
FAILED: Final = "failed"
#: states of a step run that ended as an action; what was skipped or stopped is none
_ENDED: Final = {"completed": SUCCESS, "failed": FAILED, "timed_out": FAILED}


@dataclass(frozen=True)
class Action:
    """``step_run`` names it for us; its public id is its place among the actions that ended before it."""

    action_id: str
    step_run: UUID
    toolkit: str
    action_name: str
    status: str
    executed_at: datetime
    error_message: str = ""


def actions_of(execution: Execution) -> list[Action]:
    """Return the actions that ended so far, in the order of their ends, so that no later one moves their ids."""
    linked = ToolkitCall.objects.filter(execution_id=execution.pk).exclude(run_id=None).values_list("run_id", flat=True)
    runs = (
        StepRun.objects.filter(execution_id__in=[execution.pk, *linked], kind="act", status__in=_ENDED)
        .select_related("execution")
        .only(
            "id",
            "execution",
            "step_id",
            "status",
            "reason",
            "message",
            "ended_at",
            "execution__version_id",
            "execution__options",
        )
        .order_by("ended_at", "id")
    )
    return list(_numbered(runs))


def _numbered(runs: Iterable[StepRun]) -> Iterable[Action]:
    number = 0
    for run in runs:
        named = name_of(workflow_by_id(run.execution.version_id), run.step_id)
        if named is None or run.ended_at is None:
            continue
        number += 1
        status = _ENDED[run.status]
        yield Action(
            action_id=ids.action_id(number),
            step_run=run.pk,
            toolkit=named[0],
            action_name=named[1],
            status=status,
            executed_at=run.ended_at,
            error_message=(run.message or run.reason or "The action failed.") if status == FAILED else "",
        )


def name_of(workflow: Workflow, step_id: str) -> tuple[str, str] | None:
    """Return toolkit and action of a step; None for one that does not act."""
    step: Step | None = workflow.steps.get(step_id)
    if step is None or step.question is not None:
        return None
    if step.operation is not None:
        return catalogue.named(step.operation.name)
    machine = next((command for command in step.commands if not command.for_people), None)
    return None if machine is None else (machine.type, step.name or step.id)
