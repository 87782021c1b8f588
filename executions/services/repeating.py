"""Running an ended execution again: a new one, of the same version and with the same inputs, that points to it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from core.actors import Actor
from core.errors import Conflict
from executions.models import Execution
from executions.selectors import ExecutionNotFound
from executions.services.starting import start_execution


class StillRuns(Conflict):
    """What is live is not run again: cancel it, or wait for its end."""

    code = "execution_live"


@transaction.atomic
def run_again(
    *, execution: Execution, actor: Actor, now: datetime, start_key: str | None = None, start_digest: str = ""
) -> Execution:
    """Start the version and inputs of an ended execution once more, as a dry run where it was one.

    A child is run again by itself, without its parent. Raises StillRuns, StartRefused, StartKeyReused,
    ExecutionNotFound where retention was faster.
    """
    # What points at an execution keeps it from being pruned; until that is committed, this does.
    if Execution.objects.select_for_update(no_key=True).filter(pk=execution.pk).first() is None:
        raise ExecutionNotFound("The execution is gone: it was older than what is kept.")
    if not execution.is_final:
        raise StillRuns(f"The execution is {execution.status}. Only one that has ended is run again.")
    return start_execution(
        tenant=execution.tenant,
        version=execution.version,
        inputs=execution.inputs,
        options=execution.options,
        actor=actor,
        start_key=start_key,
        start_digest=start_digest,
        again_of=execution,
        now=now,
    )
