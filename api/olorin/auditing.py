"""The audit of toolkits' actions, and what the breaker of a toolkit learns from them.

``Auditor`` is told of every try by whoever makes it; refused requests are noted where they are refused. A row's last
word is ``success`` or ``failed``; one that is ``failed`` waits for a person's look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from uuid import UUID

from django.db import DatabaseError

from api.olorin import ids
from api.olorin.actions import actions_of, name_of
from connectors import toolkit_breakers
from connectors.base import OperationSpec, Outcome, OutcomeKind
from connectors.models import Connection
from connectors.planning import Call, PlannedCall
from connectors.toolkit_models import ToolkitCall
from core import strict_json
from core.clock import database_now
from core.secrets import MASK
from executions.engine.retrying import DEFAULT_TRIES
from executions.models import Execution, StepRun
from executions.stored_json import storable
from playbooks.cacao.check_secrets import is_secret_header, says_secret
from playbooks.cacao.types import Step
from playbooks.selectors import workflow_by_id

if TYPE_CHECKING:
    from accounts.models import Tenant

log = logging.getLogger(__name__)

#: octets of parameters or of a result that a row keeps
LARGEST: Final = 64 * 1024
CIRCUIT_OPEN: Final = "circuit open"

P = ParamSpec("P")
T = TypeVar("T")


def _quietly(default: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """No action is lost for its audit: where the row cannot be written, the log says so."""

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except DatabaseError:
                log.warning("composio_action_execution.not_noted", exc_info=True)
                return default

        return called

    return wrap


class Auditor:
    """What connectors call, in the worker."""

    @_quietly("")
    def begins(self, call: PlannedCall, *, fence: int) -> str:
        run = _run_of(call.key)
        if run is None:
            return ""
        row = _row_of(run, call.spec, call.arguments)
        if row.executed_at is None and not toolkit_breakers.take_turn(run.tenant_id, call.spec.toolkit):
            return CIRCUIT_OPEN
        if row.executed_at is not None:
            row.retry_count += 1
        row.executed_at, row.status = database_now(), ToolkitCall.Status.RETRYING
        row.connection_id = call.connection.pk if call.connection else None
        row.save(update_fields=["retry_count", "executed_at", "status", "connection_id"])
        return ""

    @_quietly(None)
    def ended(self, call: PlannedCall, outcome: Outcome, *, fence: int) -> None:
        run = _run_of(call.key)
        if run is None:
            return
        row = _row_of(run, call.spec, call.arguments)
        if outcome.kind is OutcomeKind.COMPLETED:
            note_end(row, succeeded=True, result=outcome.output)
        elif _was_refused(call) or _is_last(run, outcome, may_be_asked=call.spec.probe):
            note_end(row, succeeded=False, error=outcome.message, counts=outcome.code != "circuit_open")
        else:
            row.error_message = outcome.message
            row.save(update_fields=["error_message"])

    @_quietly(None)
    def missing(self, call: Call, spec: OperationSpec, message: str) -> None:
        run = _run_of(call.key)
        if run is None:
            return
        step = _step_of(run)
        skips = step is not None and step.on_missing_connection == "skip"
        row = _row_of(run, spec, call.arguments)
        row.status = ToolkitCall.Status.SKIPPED if skips else ToolkitCall.Status.FAILED
        row.error_message = message
        row.save(update_fields=["status", "error_message"])
        log.warning("composio_action_execution", extra=_told(row))


def note_end(row: ToolkitCall, *, succeeded: bool, result: Any = None, error: str = "", counts: bool = True) -> None:
    """Write a row's last word, once; ``counts``: the breaker of the toolkit learns of it."""
    status = ToolkitCall.Status.SUCCESS if succeeded else ToolkitCall.Status.FAILED
    action_id = row.action_id or _next_action_id(row)
    # What was given up as unknown and is found done after all is a success.
    before = [ToolkitCall.Status.RETRYING, *([ToolkitCall.Status.FAILED] if succeeded else [])]
    changed = ToolkitCall.objects.filter(pk=row.pk, status__in=before).update(
        status=status, result=_kept(result) if succeeded else None, error_message=error, action_id=action_id
    )
    if not changed:
        return
    row.refresh_from_db()
    if row.tenant_id is not None and counts:
        learn = toolkit_breakers.note_success if succeeded else toolkit_breakers.note_failure
        learn(row.tenant_id, row.toolkit_name)
    log.log(logging.INFO if succeeded else logging.WARNING, "composio_action_execution", extra=_told(row))


def note_refused(
    *, tenant: Tenant | None, given: Mapping[str, Any], action: str, why: str, now: datetime, **more: Any
) -> ToolkitCall:
    """Write the row of a request that was refused. ``more``: further columns, such as ``parameters``."""
    row = ToolkitCall.objects.create(
        tenant=tenant,
        execution_ref=given["execution_id"],
        toolkit_name=given["toolkit"],
        action_name=action,
        status=ToolkitCall.Status.REFUSED,
        error_message=why,
        requested_at=now,
        **more,
    )
    log.warning("composio_action_execution", extra=_told(row))
    return row


def redacted(value: Any) -> Any:
    """Return JSON values with stars for what is a secret by its name; too large: only how large."""
    found = _kept(value)
    return _masked(found)


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: MASK if item not in (None, "") and _says_secret(name) else _masked(item)
            for name, item in value.items()
        }
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _says_secret(name: str) -> bool:
    return is_secret_header(name) or says_secret(name, "string")


def _kept(value: Any) -> Any:
    clean = storable(value)
    size = len(strict_json.dumps(clean))
    return clean if size <= LARGEST else {"too_large": size}


def _run_of(key: str) -> StepRun | None:
    """The step run that a call's key names; other keys are of calls that nobody's playbook makes."""
    try:
        found = StepRun.objects.select_related("execution").filter(pk=UUID(key)).first()
    except ValueError:
        return None
    return found


def _step_of(run: StepRun) -> Step | None:
    return workflow_by_id(run.execution.version_id).steps.get(run.step_id)


def _row_of(run: StepRun, spec: OperationSpec, arguments: Mapping[str, Any]) -> ToolkitCall:
    """The row of a step run: that of the signed action it carries out, or its own, made at its first try."""
    found = ToolkitCall.objects.filter(run_id=run.execution_id).first()
    if found is not None:
        if found.step_run_id is None:
            ToolkitCall.objects.filter(pk=found.pk).update(step_run_id=run.pk)
            found.step_run_id = run.pk
        return found
    named = name_of(workflow_by_id(run.execution.version_id), run.step_id)
    toolkit, _, action = spec.name.partition(".")
    row, _ = ToolkitCall.objects.get_or_create(
        step_run_id=run.pk,
        defaults={
            "tenant_id": run.tenant_id,
            "execution_ref": ids.execution_id(run.execution.number),
            "execution_id": run.execution_id,
            "toolkit_name": toolkit,
            "action_name": named[1] if named else action,
            "parameters": redacted(dict(arguments)),
            "status": ToolkitCall.Status.RETRYING,
            "requested_at": database_now(),
        },
    )
    return row


def _was_refused(call: PlannedCall) -> bool:
    """Whether the vendor refused this call's token for good: what tries follow reach nobody."""
    return (
        call.connection is not None and Connection.objects.filter(pk=call.connection.pk, refused_key=call.key).exists()
    )


def _is_last(run: StepRun, outcome: Outcome, *, may_be_asked: bool) -> bool:
    """Whether no try follows this one. ``may_be_asked``: where nobody knows, the far side is asked first."""
    step = _step_of(run)
    if outcome.kind is OutcomeKind.UNKNOWN:
        return step is not None and step.on_unknown == "fail" and (not may_be_asked or run.tries + 1 >= DEFAULT_TRIES)
    if step is not None and step.retry is not None:
        is_final = step.retry.ends_on_no and outcome.retry is False
        return is_final or run.tries + 1 >= step.retry.attempts
    return outcome.retry is False or run.tries + 1 >= DEFAULT_TRIES


def _next_action_id(row: ToolkitCall) -> str:
    """The place that an action which ends now has in its execution: a step's own end is recorded after its call."""
    execution = Execution.objects.filter(pk=row.execution_id).first() if row.execution_id else None
    if execution is None:
        return ""
    ended = actions_of(execution)
    known = next((action.action_id for action in ended if action.step_run == row.step_run_id), None)
    return known or ids.action_id(len(ended) + 1)


def _told(row: ToolkitCall) -> dict[str, Any]:
    """What the log says: no parameters, no result."""
    return {
        "action_id": row.action_id,
        "execution_id": row.execution_ref,
        "toolkit_name": row.toolkit_name,
        "action_name": row.action_name,
        "tenant_id": str(row.tenant_id or ""),
        "connection_id": str(row.connection_id or ""),
        "status": str(row.status),
        "retry_count": row.retry_count,
        "error_message": row.error_message[:300],
    }
