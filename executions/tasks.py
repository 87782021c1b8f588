"""The Celery task. A message is a doorbell: it names step runs and carries no authority."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core import failpoints
from executions import events, nodes
from executions.leases import Holding, keeper
from executions.performed import Abandoned, Performed, broken
from executions.performing import perform
from executions.services.claiming import Work, claim_step
from executions.services.handing_back import hand_back
from executions.services.recording import record_outcome

log = logging.getLogger(__name__)

STEPS_A_SLICE = 50
LOST_CONNECTION = (OperationalError, InterfaceError)

_is_draining = threading.Event()


@worker_ready.connect
def _say_that_it_works(sender: Any = None, **_: object) -> None:
    """Slots are what the window of the dispatcher is measured by."""
    slots = getattr(sender, "pool", None)
    nodes.keep_beating(
        f"work@{socket.gethostname()}:{os.getpid()}",
        slots=int(getattr(slots, "limit", 0) or settings.SALLYPORT_WORKER_THREADS),
        stop=_is_draining,
    )


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    _is_draining.set()
    failpoints.reach("during_drain")


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"


@shared_task(name="executions.run_step", acks_late=True, ignore_result=True)
def run_step(*, step_run_ids: Sequence[str]) -> None:
    """Run steps to their outcomes. Safe to deliver twice: only one worker can claim a step run."""
    for text in step_run_ids:
        if _is_draining.is_set():
            return  # the rows are due still; another worker is nudged
        run_from(UUID(text))
    events.wake_dispatcher()  # the window has room again


def run_from(step_run_id: UUID) -> None:
    """Claim a step run and carry on with what follows it, until the slice ends (ARCHITECTURE, carry on in place)."""
    began = time.monotonic()
    work = _claim(step_run_id)
    steps = 1
    while work is not None:
        is_over = time.monotonic() - began > settings.SALLYPORT_SLICE.total_seconds() or steps >= STEPS_A_SLICE
        work = _run(work, carry_on=not is_over)
        steps += 1


def _claim(step_run_id: UUID) -> Work | None:
    """Claim; where this thread's connection had broken, once more on a new one. The row stays due in any case."""
    try:
        return claim_step(step_run_id=step_run_id, worker=worker_name())
    except LOST_CONNECTION:
        connection.close()
    try:
        return claim_step(step_run_id=step_run_id, worker=worker_name())
    except LOST_CONNECTION:
        connection.close()
        log.warning("claim.database_away", extra={"step_run": str(step_run_id)})
        return None


def _run(work: Work, *, carry_on: bool) -> Work | None:
    failpoints.reach("after_claim")
    with keeper.hold(work.run.id, work.run.fence, asked_at=work.asked_at) as holding:
        try:
            performed = _performed(work, holding)
        except Abandoned as error:
            log.info("step.abandoned", extra={"step_run": str(work.run.id), "why": str(error)})
            hand_back(work)
            return None
        failpoints.reach("before_record_commit")
        # Asked now, not before the call: a process that drains claims nothing any more.
        may_claim = carry_on and not _is_draining.is_set()
        following = record_outcome(work=work, performed=performed, carry_on=may_claim)
    if following is not None:
        failpoints.reach("after_carry_on_claim")
    return following


def _performed(work: Work, holding: Holding) -> Performed:
    """Perform; what breaks before anything is sent is a failed try, or no try at all where the database was away."""
    try:
        return perform(work, holding)
    except LOST_CONNECTION as error:
        connection.close()
        raise Abandoned("the database was away") from error
    except Abandoned:
        raise
    except Exception as error:
        log.exception("step.broken", extra={"step_run": str(work.run.id)})
        return broken(error)
