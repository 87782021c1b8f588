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
from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down
from django.conf import settings
from django.db import connection

from core import failpoints
from core.database import AWAY, is_away
from executions import chunks, draining, events, nodes, statements
from executions.chunks import Chunk
from executions.leases import Holding, keeper
from executions.performed import Abandoned, Gated, Performed, broken
from executions.performing import perform
from executions.services.carrying import take_up
from executions.services.claiming import Work, claim_step
from executions.services.handing_back import hand_back
from executions.services.recording import record_outcome

log = logging.getLogger(__name__)

STEPS_A_SLICE = 50

_loaded_by = os.getpid()
#: the process that beats and is told to end, where it is not this one: the parent of a forked pool
_parent: int | None = None


@worker_init.connect
def _expect_children(**_: object) -> None:
    draining.expect_children()


@worker_process_init.connect
def _follow_parent(**_: object) -> None:
    """In a child of ``--pool=prefork``; ``--pool=solo`` says so too, in the one process that it has."""
    global _parent
    if os.getpid() != _loaded_by:
        _parent = os.getppid()
        draining.follow_parent()


@worker_ready.connect
def _say_that_it_works(sender: Any = None, **_: object) -> None:
    """Slots are what the window of the dispatcher is measured by."""
    slots = getattr(sender, "pool", None)
    nodes.keep_beating(
        f"work@{socket.gethostname()}:{os.getpid()}",
        slots=int(getattr(slots, "limit", 0) or settings.SALLYPORT_WORKER_THREADS),
        stop=draining.begun(),
    )


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    draining.begin()
    failpoints.reach("during_drain")


def worker_name() -> str:
    """Begins like the name of the process that beats for this thread."""
    return f"{socket.gethostname()}:{_parent or os.getpid()}:{threading.get_native_id()}"


@shared_task(name="executions.run_step", acks_late=True, ignore_result=True)
def run_step(*, step_run_ids: Sequence[str]) -> None:
    """Run steps to their outcomes. Safe to deliver twice: only one worker can claim a step run."""
    with chunks.opened([UUID(text) for text in step_run_ids]) as chunk:
        run_chunk(chunk)
    events.wake_dispatcher(at_once=False)  # the window has room again


def run_from(step_run_id: UUID) -> None:
    """Claim a step run and carry on with what follows it, until the slice ends (ARCHITECTURE, carry on in place)."""
    run_chunk(Chunk([step_run_id]))


def run_chunk(chunk: Chunk) -> None:
    """Run what a nudge names one after the other, each with what follows it, until the slice ends or others wait."""
    shift = Shift(chunk)
    while (waiting := chunk.waiting()) and shift.may_take_up():
        chunk.started(waiting[0])
        work = _claim(waiting[0])
        while work is not None:
            work = _run_or_drop(work, shift)


class Shift:
    """How long one worker thread goes on by itself before it takes its next nudge."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self._began = time.monotonic()
        self._steps = 0
        self._tenant: UUID | None = None

    def begins(self, work: Work) -> None:
        self._steps += 1
        self._tenant = work.run.tenant_id
        self.chunk.started(work.run.id)

    def may_go_on(self) -> bool:
        """Whether the slice goes on (ruling 31); that nobody else comes first is seen where the outcome is recorded."""
        is_over = time.monotonic() - self._began > settings.SALLYPORT_SLICE.total_seconds()
        return not is_over and self._steps < STEPS_A_SLICE and not draining.has_begun()

    def may_take_up(self) -> bool:
        """Whether the next that the nudge names is started; the first always is, but where the worker ends."""
        if self._tenant is None:
            return not draining.has_begun()
        return self.may_go_on() and not statements.has_had_more(self._tenant)


def _run_or_drop(work: Work, shift: Shift) -> Work | None:
    """Run a step; where the database takes no outcome until the lease is over, let go of it: the sweep takes it up."""
    try:
        return _run(work, shift)
    except AWAY as error:
        if not is_away(error):
            raise
        connection.close()
        log.error("outcome.dropped", extra={"step_run": str(work.run.id), "fence": work.run.fence})
        return None


def _claim(step_run_id: UUID) -> Work | None:
    """Claim; where this thread's connection broke, once more on a new one. The row stays due in any case."""
    asked_at = time.monotonic()
    for is_again in (False, True):
        try:
            if is_again:
                return claim_step(step_run_id=step_run_id, worker=worker_name(), in_doubt_since=asked_at)
            return take_up(step_run_id, worker=worker_name())
        except AWAY as error:
            if not is_away(error):
                raise
            connection.close()
    log.warning("claim.database_away", extra={"step_run": str(step_run_id)})
    return None


def _run(work: Work, shift: Shift) -> Work | None:
    shift.begins(work)
    failpoints.reach("after_claim")
    with keeper.hold(work.run.id, work.run.fence, asked_at=work.asked_at) as holding:
        try:
            with shift.chunk.calling():
                performed = _performed(work, holding)
        except Abandoned as error:
            log.info("step.abandoned", extra={"step_run": str(work.run.id), "why": str(error)})
            hand_back(work, error if isinstance(error, Gated) else None)
            return None
        failpoints.reach("before_record_commit")
        following = record_outcome(
            work=work, performed=performed, carry_on=shift.may_go_on(), beside=shift.chunk.waiting()
        )
    if following is not None:
        failpoints.reach("after_carry_on_claim")
    return following


def _performed(work: Work, holding: Holding) -> Performed:
    """Perform; what breaks before anything is sent is a failed try, or no try at all where the database was away."""
    try:
        return perform(work, holding)
    except Abandoned:
        raise
    except Exception as error:
        if is_away(error):
            connection.close()
            raise Abandoned("the database was away") from error
        log.exception("step.broken", extra={"step_run": str(work.run.id)})
        return broken(error)
