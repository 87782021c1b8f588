"""A signed action: a one-step execution linked to the one it belongs to, and the answer once that has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from api.base import Kind, Refusal
from api.olorin import auditing, ids, translating
from api.olorin.actions import actions_of
from connectors import selectors, toolkit_breakers
from connectors.models import Connection
from connectors.standing import last_used
from connectors.toolkit_models import ToolkitCall
from core import strict_json
from core.actors import Actor, ActorKind
from core.clock import database_now
from core.errors import Conflict, NotFound, Unavailable
from executions.breakers import REASON as BREAKER
from executions.engine.apart import whole
from executions.following import get_head
from executions.models import Execution, StepRun
from executions.selectors import get_execution, list_open_reviews, list_step_runs, result_of
from executions.services import ExecutionEnded, cancel_execution, start_execution

if TYPE_CHECKING:
    from accounts.models import Tenant

#: how long an action may take in all its tries
LONGEST: Final = timedelta(minutes=5)
#: seconds between two looks at its rows, the first and the longest
_FIRST_LOOK, _LONGEST_LOOK = 0.02, 0.25

_waiting: threading.BoundedSemaphore | None = None
_lock = threading.Lock()


class ExecutionOver(Conflict):
    code = "execution_over"


class ConnectionMissing(NotFound):
    code = "connection_missing"


class CircuitOpen(Refusal):
    def __init__(self, toolkit: str) -> None:
        super().__init__(Kind.INTERNAL, f"{auditing.CIRCUIT_OPEN}: actions of {toolkit} failed in a row. Try later.")


class ActionFailed(Refusal):
    """It was begun and came to no good end, or to none yet; its audit has a row."""

    def __init__(self, message: str) -> None:
        super().__init__(Kind.INTERNAL, message)


@dataclass(frozen=True)
class Asked:
    """A signed action whose signature was checked."""

    tenant: Tenant
    execution: Execution
    toolkit: str
    action: str
    parameters: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What makes two requests for an execution the same."""
        return strict_json.digest([self.toolkit, self.action, self.parameters])

    @property
    def actor(self) -> Actor:
        return Actor(kind=ActorKind.TRIGGER, id=str(self.execution.pk), name="signed action")


@dataclass(frozen=True)
class Done:
    action_id: str
    result: Any
    executed_at: datetime | None


def carry_out(asked: Asked, *, now: datetime) -> Done:
    """Have an action carried out, once for its execution, and wait for its end.

    Raises ExecutionOver, ActionInvalid, ConnectionMissing, CircuitOpen, QueueFull, and ActionFailed where it failed,
    was stopped or is not over in time.
    """
    if asked.execution.is_final:
        raise ExecutionOver(f"The execution has ended ({asked.execution.status}); nothing is done for it any more.")
    translating.check_parameters(asked.toolkit, asked.action, asked.parameters)
    with _place_to_wait():
        row = _under_way_or_done(asked) or _begun(asked, now=now)
        assert row.run_id is not None
        return _outcome(asked, row, _ended(asked, row.run_id))


def connection_of(tenant: Tenant, toolkit: str, *, now: datetime) -> Connection:
    """Return the active connection that was used last. Raises ConnectionMissing."""
    found = last_used(selectors.list_of_kinds(tenant.pk, kinds=frozenset({toolkit})), now=now)
    if found is None:
        raise ConnectionMissing(f"There is no active connection of {toolkit} for this tenant. Connect it, then repeat.")
    return found


def _calls(asked: Asked) -> list[ToolkitCall]:
    """The same action for the same execution before, the latest first."""
    rows = ToolkitCall.objects.filter(tenant=asked.tenant, execution_id=asked.execution.pk, digest=asked.digest)
    return list(rows.exclude(run_id=None).order_by("-requested_at", "-id"))


def _under_way_or_done(asked: Asked) -> ToolkitCall | None:
    """The same action where it was done, or is being done, or may have been; else it may be asked for again."""
    latest = next(iter(_calls(asked)), None)
    if latest is None or latest.run_id is None:
        return None
    head = get_head(asked.tenant, id=latest.run_id)
    may_be_repeated = head.is_final and head.status != "completed" and not _has_review(asked, latest.run_id)
    return None if may_be_repeated else latest


def _has_review(asked: Asked, run_id: UUID) -> bool:
    """Whether nobody knows if it took place, and a person has yet to say."""
    return list_open_reviews(asked.tenant).filter(execution_id=run_id).exists()


def _begun(asked: Asked, *, now: datetime) -> ToolkitCall:
    connection = connection_of(asked.tenant, asked.toolkit, now=now)
    if toolkit_breakers.is_open(asked.tenant.pk, asked.toolkit):
        raise CircuitOpen(asked.toolkit)
    number = len(_calls(asked))
    with transaction.atomic():
        version = translating.single(
            tenant=asked.tenant, toolkit=asked.toolkit, action=asked.action, names=sorted(asked.parameters),
            actor=asked.actor, now=now,
        )  # fmt: skip
        run = start_execution(
            tenant=asked.tenant,
            version=version,
            inputs={"parameters": dict(asked.parameters), "inputs": {}, "overrides": dict(asked.parameters)},
            options={"parent_execution": str(asked.execution.pk)},
            actor=asked.actor,
            now=now,
            start_key=_start_key(asked, number),
            start_digest=asked.digest,
            deadline=LONGEST,
        )
        row, _ = ToolkitCall.objects.get_or_create(
            run_id=run.pk,
            defaults={
                "tenant": asked.tenant,
                "execution_ref": ids.execution_id(asked.execution.number),
                "execution_id": asked.execution.pk,
                "digest": asked.digest,
                "toolkit_name": asked.toolkit,
                "action_name": asked.action,
                "connection_id": connection.pk,
                "parameters": auditing.redacted(dict(asked.parameters)),
                "status": ToolkitCall.Status.RETRYING,
                "requested_at": now,
            },
        )
    return row


def _start_key(asked: Asked, number: int) -> str:
    """Two equal requests at one moment start one execution; a repeat after a failure starts another."""
    return sha256(f"soar-action|{asked.execution.pk}|{asked.digest}|{number}".encode()).hexdigest()


def _ended(asked: Asked, run_id: UUID) -> Execution:
    """Look at the rows until the one-step execution has ended, or waits for what no repeat will bring about."""
    until, pause, look = time.monotonic() + LONGEST.total_seconds(), threading.Event(), _FIRST_LOOK
    while True:
        head = get_head(asked.tenant, id=run_id)
        if head.is_final:
            return get_execution(asked.tenant, id=run_id)
        _check_waiting(asked, run_id, head.status)
        if time.monotonic() >= until:
            raise ActionFailed("The action is not over yet. Repeat the request to hear of its end.")
        pause.wait(look)
        look = min(look * 1.5, _LONGEST_LOOK)


def _check_waiting(asked: Asked, run_id: UUID, status: str) -> None:
    if status == "paused":
        raise ActionFailed(
            "The action waits for a person: an approval, or a word on whether it took place. Repeat the request later."
        )
    held = StepRun.objects.filter(execution_id=run_id, status="retrying", reason=BREAKER).exists()
    if not held:
        return
    try:
        run = get_execution(asked.tenant, id=run_id)
        cancel_execution(execution=run, actor=asked.actor, now=database_now())
    except ExecutionEnded:
        return  # it went on after all
    _note_failed(run_id, auditing.CIRCUIT_OPEN)
    raise ActionFailed(f"{auditing.CIRCUIT_OPEN}: calls of the connection failed in a row. Try later.")


def _outcome(asked: Asked, row: ToolkitCall, run: Execution) -> Done:
    step = next((found for found in list_step_runs(run) if found.kind == "act"), None)
    if step is None or step.status != "completed":
        message = (step.message if step else "") or run.message or "The action failed."
        _note_failed(run.pk, message)
        if _has_review(asked, run.pk):
            message += " It may have taken place all the same; a person has to say so before it is done again."
        raise ActionFailed(f"{asked.toolkit} {asked.action} failed: {message}")
    done = next(action for action in actions_of(asked.execution) if action.step_run == step.pk)
    result = whole(result_of(step).get("output"))
    auditing.note_end(row, succeeded=True, result=result)
    return Done(done.action_id, result, done.executed_at)


def _note_failed(run_id: UUID, message: str) -> None:
    row = ToolkitCall.objects.filter(run_id=run_id).first()
    if row is not None:
        auditing.note_end(row, succeeded=False, error=message, counts=message != auditing.CIRCUIT_OPEN)


@contextmanager
def _place_to_wait() -> Iterator[None]:
    """Half of a process's threads may wait for actions, so that the others answer. Raises Unavailable."""
    global _waiting
    with _lock:
        if _waiting is None:
            _waiting = threading.BoundedSemaphore(max(1, settings.SALLYPORT_WEB_THREADS // 2))
    if not _waiting.acquire(blocking=False):
        raise Unavailable("Too many actions are waited for here. Repeat the request.", retry_after=1)
    try:
        yield
    finally:
        _waiting.release()
