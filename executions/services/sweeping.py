"""The sweep: repairs what a nudge should have done, in small batches, on any number of nodes (6.9).

Every pass first finds candidates without a lock and then moves each in its own turn, under a guard that looks again:
two sweepers at once do the work once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from core import failpoints
from executions import statements
from executions.caps import MAY_START
from executions.engine import decide
from executions.engine.decisions import Kind, Result
from executions.engine.statuses import StepStatus
from executions.facts import StoredFacts
from executions.models import StepRun
from executions.rules import rules_of
from executions.services.answering import expire_opener, settle_waiting
from executions.services.applying import carry_out
from executions.services.asking_again import ask_again
from executions.services.children import settle_child
from executions.services.recording import go_on
from executions.services.reviewing import open_review
from executions.services.stopping import cancel_step_run, finish_stop, stop_child, stop_execution, stop_step_runs
from executions.turn import Turn, turn_of
from manual import services as manual
from playbooks.selectors import workflow_by_id

log = logging.getLogger(__name__)

BATCH = 100
LOST_ATTEMPTS = 3
PUBLICATIONS = 10
DEFAULT_CALL_SECONDS = 30.0
#: how long one execution's lock is waited for: a process that was frozen inside its transaction keeps it
PATIENCE = timedelta(seconds=1)

LOST = """
SELECT id, execution_id FROM executions_steprun
 WHERE status = 'running' AND lease_until <= clock_timestamp() ORDER BY lease_until LIMIT %s
"""
LATE = """
SELECT id, execution_id FROM executions_steprun
 WHERE status IN ('pending', 'running', 'retrying', 'waiting') AND deadline_at <= clock_timestamp()
 ORDER BY deadline_at LIMIT %s
"""
TIMERS = """
SELECT id, execution_id FROM executions_steprun
 WHERE status = 'waiting' AND kind = 'timer' AND due_at <= clock_timestamp() ORDER BY due_at LIMIT %s
"""
CHILDREN = """
SELECT s.id, s.execution_id FROM executions_steprun s
  JOIN executions_execution c ON c.parent_step_run_id = s.id
 WHERE s.status = 'waiting' AND s.kind = 'child' AND c.ended_at IS NOT NULL LIMIT %s
"""
OVERDUE = """
SELECT id, id FROM executions_execution
 WHERE status IN ('pending', 'running', 'paused') AND stop_as = '' AND deadline_at <= clock_timestamp()
 ORDER BY deadline_at LIMIT %s
"""
PAST_GRACE = """
SELECT id, id FROM executions_execution
 WHERE status IN ('pending', 'running', 'paused') AND stop_as <> '' AND stop_requested_at <= clock_timestamp() - %s
 ORDER BY stop_requested_at LIMIT %s
"""
# What is held, or kept back by a switch or a cap, is not delivered on purpose.
UNDELIVERABLE = f"""
SELECT s.id, s.execution_id FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status IN ('pending', 'retrying') AND s.publications >= %s
   AND s.published_at <= clock_timestamp() - interval '60 s' AND e.held_at IS NULL
   AND {MAY_START} LIMIT %s
"""  # noqa: S608 (constants of this code)
# Index step_run_uncertain (partial). What is held or stops asks nobody.
ASK_AGAIN = """
SELECT s.id, s.execution_id FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status = 'uncertain' AND s.due_at <= clock_timestamp()
   AND (s.quarantine_until IS NULL OR s.quarantine_until <= clock_timestamp())
   AND e.held_at IS NULL AND e.stop_as = '' ORDER BY s.due_at LIMIT %s
"""
# A child outlives its step run only where the worker that started it came too late.
ABANDONED = """
SELECT s.id, s.execution_id FROM executions_execution c JOIN executions_steprun s ON s.id = c.parent_step_run_id
 WHERE c.status IN ('pending', 'running', 'paused') AND c.stop_as = '' AND s.ended_at IS NOT NULL LIMIT %s
"""
WAITING_DUE = """
SELECT e.id, e.id FROM executions_execution e
 WHERE e.status = 'paused' AND e.held_at IS NULL AND e.stop_as = '' AND EXISTS (
    SELECT 1 FROM executions_steprun s
     WHERE s.execution_id = e.id AND s.status = 'pending' AND s.due_at <= clock_timestamp()) LIMIT %s
"""
# Must never fire: a live execution, not held, with nothing live in it.
ORPHANS = """
SELECT e.id, e.id FROM executions_execution e
 WHERE e.status IN ('pending', 'running', 'paused') AND e.held_at IS NULL
   AND e.created_at < clock_timestamp() - interval '10 s' AND NOT EXISTS (
    SELECT 1 FROM executions_steprun s
     WHERE s.execution_id = e.id AND s.status IN ('pending', 'running', 'retrying', 'waiting', 'uncertain'))
 LIMIT %s
"""


def sweep_once() -> int:
    """Do every pass once; return how many things were moved."""
    passes: list[tuple[str, Callable[[UUID, UUID], bool]]] = [
        (LOST, take_back_lost),
        (LATE, expire_step_run),
        (TIMERS, fire_timer),
        (CHILDREN, lambda run, _: settle_child(run)),
        (OVERDUE, expire_execution),
        (WAITING_DUE, wake_execution),
        (ABANDONED, stop_abandoned),
        (ASK_AGAIN, ask_again),
    ]
    moved = 0
    for sql, act in passes:
        moved += _pass(sql, (BATCH,), act)
    moved += _pass(PAST_GRACE, (settings.SALLYPORT_STOP_GRACE, BATCH), end_grace)
    moved += _pass(UNDELIVERABLE, (PUBLICATIONS, BATCH), fail_undeliverable)
    return moved


def look_for_orphans() -> None:
    """Raise an alarm for what must never be; it reads every live execution, so it is not part of each sweep."""
    for _, execution in _candidates(ORPHANS, (10,)):
        log.error("alarm.orphan", extra={"execution": str(execution)})


def sweep_urgent() -> int:
    """The passes that somebody waits for: due timers and finished children."""
    return _pass(TIMERS, (BATCH,), fire_timer) + _pass(CHILDREN, (BATCH,), lambda run, _: settle_child(run))


def _pass(sql: str, args: tuple[Any, ...], act: Callable[[UUID, UUID], bool]) -> int:
    moved = 0
    stuck: set[UUID] = set()
    for row, execution in _candidates(sql, args):
        if execution in stuck:
            continue
        try:
            moved += 1 if _patiently(act, row, execution) else 0
            failpoints.reach("mid_sweep_batch")
        except Exception as error:
            if isinstance(error, OperationalError) and isinstance(error.__cause__, LockNotAvailable):
                log.warning("sweep.locked", extra={"row": str(row), "execution": str(execution)})
                stuck.add(execution)
                continue
            if not connection.is_usable():
                raise
            # One row that cannot be moved must not keep the sweep from the others; it is logged each time.
            log.exception("sweep.failed", extra={"row": str(row), "execution": str(execution)})
    return moved


def _patiently(act: Callable[[UUID, UUID], bool], row: UUID, execution: UUID) -> bool:
    """Act, or raise where somebody keeps the execution locked: others do not wait, and the next pass tries again."""
    with transaction.atomic():
        statements.wait_for_locks_at_most(PATIENCE)
        return act(row, execution)


def _candidates(sql: str, args: tuple[Any, ...]) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def take_back_lost(run_id: UUID, execution_id: UUID) -> bool:
    """S10, S11, S20: the holder's lease ran out."""
    with turn_of(execution_id) as turn:
        run = _locked(run_id, "running", "lease_until <= clock_timestamp()")
        if turn is None or run is None:
            return False
        statements.end_attempt(run.pk, run.fence, outcome="lost", message="the worker's lease ran out")
        lost = run.lost_attempts + 1
        StepRun.objects.filter(pk=run.pk).update(lost_attempts=lost)
        has_intent = run.intent_fence == run.fence
        if turn.stop_as:
            cancel_step_run(turn, run, reason="cancelled")
            finish_stop(turn)
        elif has_intent and _counts_as_unsafe(run):
            _put_to_a_person(turn, run)
        elif lost >= LOST_ATTEMPTS:
            log.error("alarm.poison", extra={"step_run": str(run.pk), "execution": str(execution_id)})
            _fail(turn, run, "poison", f"{lost} attempts were lost in a row: the worker died or froze")
        else:
            _give_back(turn, run)
    return True


def _counts_as_unsafe(run: StepRun) -> bool:
    if run.effective_class == "unsafe":
        return True
    expired = run.class_valid_until is not None and run.class_valid_until <= statements.database_now()
    return run.effective_class == "keyed" and expired


def _put_to_a_person(turn: Turn, run: StepRun) -> None:
    on_unknown = workflow_by_id(turn.row.version_id).steps[run.step_id].on_unknown
    why = "The worker was lost while its call was under way, and the call may not be repeated."
    if on_unknown == "fail":
        _fail(turn, run, "no_answer", why)
        return
    statements.move_step_run(
        run.pk, old=("running",), new="uncertain", reason="no_answer", message=why, effect="unknown"
    )
    StepRun.objects.filter(pk=run.pk).update(quarantine_until=_quarantine_of(turn, run))
    turn.event("step.uncertain", run.pk, step=run.step_id, scope=run.scope_path, reason="no_answer")
    open_review(turn, run.pk, why=why, lost_at=run.lease_until)
    turn.rest()


def _quarantine_of(turn: Turn, run: StepRun) -> datetime:
    """Until when a holder that was frozen may still act: the end of its lease, and the longest a call may take."""
    longest = timedelta(seconds=float(run.note.get("call_seconds", 0)) or DEFAULT_CALL_SECONDS)
    return (run.lease_until or turn.now) + longest


def _give_back(turn: Turn, run: StepRun) -> None:
    statements.move_step_run(run.pk, old=("running",), new="pending", due_at=turn.now, reason="lease_lost")
    turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, reason="lease_lost")
    turn.wakes_dispatcher = True


def _fail(turn: Turn, run: StepRun, reason: str, message: str) -> None:
    """S20 and the like: a step run that no worker will end; the flow goes on from its failure."""
    is_unknown = run.effect == "intended"
    moved = statements.move_step_run(
        run.pk,
        old=("running", "pending", "retrying"),
        new="failed",
        reason=reason,
        message=message,
        raise_fence=True,
        effect="unknown" if is_unknown else None,
    )
    if not moved:
        return
    turn.event("step.failed", run.pk, step=run.step_id, scope=run.scope_path, reason=reason, message=message)
    turn.failed_steps += 1
    if is_unknown:
        open_review(turn, run.pk, why=message, lost_at=run.lease_until)
    if run.kind == Kind.CHILD:
        stop_child(run.pk)
    _follow(turn, run, Result(StepStatus.FAILED, reason, message))


def _follow(turn: Turn, run: StepRun, result: Result) -> None:
    if turn.stop_as:
        finish_stop(turn)
        return
    workflow = workflow_by_id(turn.row.version_id)
    decisions = decide.after(
        workflow, StoredFacts(turn.row), rules_of(turn.row),
        step=run.step_id, scope=run.scope_path, result=result, made=turn.step_runs_made,
    )  # fmt: skip
    go_on(turn, carry_out(turn, workflow, decisions), worker=None)


def expire_step_run(run_id: UUID, execution_id: UUID) -> bool:
    """S9 and S14: the step's deadline passed, whatever it was doing."""
    with turn_of(execution_id) as turn:
        run = _locked(run_id, None, "deadline_at <= clock_timestamp()")
        if turn is None or run is None or run.status not in ("pending", "running", "retrying", "waiting"):
            return False
        is_opener = workflow_by_id(turn.row.version_id).steps[run.step_id].is_opener
        is_unknown = run.effect == "intended"
        message = "the step's deadline passed"
        if run.status == "running":
            statements.end_attempt(run.pk, run.fence, outcome="timed_out", message=message)
        statements.move_step_run(
            run.pk, old=(run.status,), new="timed_out", reason="timed_out", message=message,
            raise_fence=run.status == "running", effect="unknown" if is_unknown else None,
        )  # fmt: skip
        turn.event("step.timed_out", run.pk, step=run.step_id, scope=run.scope_path, reason="timed_out")
        turn.failed_steps += 1
        if manual.expire_for_step_runs(step_run_ids=[run.pk]):
            turn.event("request.expired", run.pk, step=run.step_id, scope=run.scope_path)
        if is_unknown:
            open_review(turn, run.pk, why="The step's time was over while its effect was not known.")
        if run.kind == Kind.CHILD:
            stop_child(run.pk)
        if is_opener and not turn.stop_as:
            expire_opener(turn, run.pk)
        else:
            _follow(turn, run, Result(StepStatus.TIMED_OUT, "timed_out", message))
    return True


def fire_timer(run_id: UUID, execution_id: UUID) -> bool:
    with turn_of(execution_id) as turn:
        run = _locked(run_id, "waiting", "due_at <= clock_timestamp()")
        if turn is None or run is None:
            return False
        settle_waiting(turn, run, result=Result(StepStatus.COMPLETED))
    return True


def expire_execution(execution_id: UUID, _: UUID) -> bool:
    """E6: the execution's own deadline passed."""
    with turn_of(execution_id) as turn:
        if turn is None or not turn.is_live or turn.stop_as:
            return False
        if turn.row.deadline_at is None or turn.row.deadline_at > turn.now:
            return False
        stop_execution(turn, as_="failed", reason="timed_out", message="the execution's time is over")
    return True


def end_grace(execution_id: UUID, _: UUID) -> bool:
    """S16: the grace of a stop is over; what still runs is ended."""
    with turn_of(execution_id) as turn:
        if turn is None or not turn.is_live or not turn.stop_as:
            return False
        stop_step_runs(turn, scopes=("",))
        finish_stop(turn)
    return True


def stop_abandoned(run_id: UUID, execution_id: UUID) -> bool:
    with turn_of(execution_id) as turn:
        if turn is None:
            return False
        stop_child(run_id)
    return True


def wake_execution(execution_id: UUID, _: UUID) -> bool:
    """E4: what a paused execution waited for has come due (a CACAO delay)."""
    with turn_of(execution_id) as turn:
        if turn is None:
            return False
        turn.rest()
    return True


def fail_undeliverable(run_id: UUID, execution_id: UUID) -> bool:
    with turn_of(execution_id) as turn:
        run = _locked(run_id, None, "publications >= 10")
        if turn is None or run is None or run.status not in ("pending", "retrying"):
            return False
        log.error("alarm.undeliverable", extra={"step_run": str(run.pk), "execution": str(execution_id)})
        _fail(turn, run, "undeliverable", f"{PUBLICATIONS} nudges were published and no worker claimed the step")
    return True


def _locked(run_id: UUID, status: str | None, still: str) -> StepRun | None:
    """Lock a step run under its execution's lock, if what made it a candidate still holds.

    Its own lock too: a renewal goes past the execution's, and a lease that is renewed at this moment is not lost.
    """
    runs = StepRun.objects.select_for_update().filter(pk=run_id)
    runs = runs.extra(where=[still])  # noqa: S610 (a constant of this module)
    return runs.filter(status=status).first() if status else runs.first()
