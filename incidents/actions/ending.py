"""What the end of an execution means for the action that it carried out.

The link from a running row to its execution is the message that has to arrive: it is committed with the start, and
whoever finds the execution final settles the row, once. So no row stays ``running`` because somebody died.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from core.clock import database_now
from executions.engine.apart import Damaged, whole_within
from executions.models import FINAL_EXECUTION, Execution, StepRun
from executions.selectors import result_of
from incidents import events
from incidents.action_models import ActionRun
from incidents.actions.registry import ACTIONS
from incidents.events import Told

log = logging.getLogger(__name__)

BATCH = 50
#: ``ActionRun.details["reason"]`` of a run that was not done in its time
TIMED_OUT = "timed_out"


def settle(run_id: int) -> bool:
    """Move a running row to its end, if its execution has one. Return whether the row is final. Safe to call twice."""
    with transaction.atomic():
        run = ActionRun.objects.select_for_update(of=("self",)).select_related("execution").get(pk=run_id)
        if run.completed_at is not None:
            return True
        execution = run.execution
        if execution is None or not execution.is_final:
            return False
        _end(run, execution, now=database_now())
        return True


def settle_ended() -> int:
    """Settle what ended while nobody waited for it; return how many rows. Called once a second by any number."""
    due = ActionRun.objects.filter(status__in=("pending", "running"), execution__status__in=FINAL_EXECUTION)
    ids = list(due.order_by("created_at").values_list("pk", flat=True)[:BATCH])
    for run_id in ids:
        settle(run_id)
    return len(ids)


def tell(run: ActionRun, *, at: datetime) -> None:
    """Record the stream's event of an end. Last in its transaction."""
    data = {
        "incident_id": run.incident_id,
        "action_id": run.pk,
        "action_type": run.action_type,
        "status": run.status,
    }
    events.record(run.tenant_id, [Told("action_executed", data)], at=at)


def _end(run: ActionRun, execution: Execution, *, now: datetime) -> None:
    act = StepRun.objects.filter(execution=execution, step_type="action").order_by("-position").first()
    if execution.status == "completed" and act is not None:
        _succeed(run, act)
    else:
        _fail(run, execution, act)
    run.completed_at = now
    run.actual_duration = round((now - run.created_at).total_seconds(), 3)
    run.save()
    if run.status == "success" and run.rollback_of_id is not None:
        ActionRun.objects.filter(pk=run.rollback_of_id).update(rolled_back_by=run)
    tell(run, at=now)


def _succeed(run: ActionRun, act: StepRun) -> None:
    try:
        output: Mapping[str, Any] = whole_within(result_of(act), depth=3)["output"]
        run.message, details = ACTIONS[run.action_type].done(run.details, output)
    except (Damaged, KeyError, TypeError):
        log.exception("action.output_unreadable", extra={"action_run": run.pk})
        run.status, run.message, run.details = "failed", "It was done, and its result cannot be read.", {}
        return
    run.status, run.details, run.logs_url = "success", details, output.get("logs_url")


def _fail(run: ActionRun, execution: Execution, act: StepRun | None) -> None:
    is_cancelled = execution.status == "cancelled"
    is_late = execution.reason == TIMED_OUT or (act is not None and act.status == "timed_out")
    run.status = "cancelled" if is_cancelled else "failed"
    run.details = {"reason": TIMED_OUT} if is_late and not is_cancelled else {}
    said = (act.message if act is not None else "") or execution.message or execution.reason
    run.message = said or ("The action was cancelled." if is_cancelled else "The action failed.")
    if is_late and not is_cancelled:
        run.message = "The action was not done in its time."
    run.logs_url = _logs_url(act)


def _logs_url(act: StepRun | None) -> str | None:
    """Where the logs of a run that failed stand, if it came to one."""
    try:
        found = whole_within(result_of(act), depth=3).get("output") if act is not None else None
    except Damaged:
        return None
    return found.get("logs_url") if isinstance(found, Mapping) else None
