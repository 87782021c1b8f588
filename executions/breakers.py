"""The circuit breaker of a connection: after failures of the far side in a row its calls wait instead of failing.

It opens after ``SALLYPORT_BREAKER_FAILURES`` failures that speak of the far side, lets one attempt try after
``SALLYPORT_BREAKER_PAUSE``, and closes with the first answer. What waits for it is ``retrying`` with a later ``due_at``
(S21): no try of the step is used up, while its deadline goes on. Calls without a connection have none.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import Error, connection, transaction

from connectors.base import OutcomeKind
from executions import events

if TYPE_CHECKING:
    from connectors.dispatch import Plan, Result

log = logging.getLogger(__name__)

REASON = "breaker"

#: codes of outcomes that could not reach the far side, or not in time
_UNREACHED = frozenset({"connect_failed", "dns_failed", "tls_failed", "timeout_before_send", "time_limit"})
#: codes that say nothing of the far side: the fault is ours, or what it sent cannot be read
_OURS = frozenset({"connector_error", "lease_lost", "bad_answer"})


def _over(needs: str, condition: str) -> str:
    """Return the condition "a breaker over these needs ...". The table holds only connections that failed once."""
    return f"""EXISTS (
    SELECT 1 FROM executions_breaker b
     WHERE {condition} AND 'connection:' || b.connection_id = ANY({needs}) OFFSET 0)"""  # noqa: S608 (constants of this code)


#: step run ``s`` need not be claimed now
WAITING = _over("s.needs", "b.next_at > clock_timestamp()")
#: what is about to be called (``plan``) needs a turn of its own
NOT_CLOSED_PLAN = _over("plan.needs", "b.state <> 'closed'")
#: an answer of what is about to be called is worth writing down
FAILING_PLAN = _over("plan.needs", "b.failures > 0")

NEXT_AT = """
SELECT max(b.next_at) FROM executions_breaker b
 WHERE b.next_at > clock_timestamp() AND 'connection:' || b.connection_id = ANY(%s)
"""

LOCK = """
SELECT b.connection_id, b.next_at, b.next_at > clock_timestamp() FROM executions_breaker b
 WHERE b.state <> 'closed' AND 'connection:' || b.connection_id = ANY(%s)
 ORDER BY b.connection_id FOR UPDATE
"""

TRY = """
UPDATE executions_breaker SET state = 'half_open', next_at = clock_timestamp() + %s WHERE connection_id = ANY(%s)
"""

FAILED = """
INSERT INTO executions_breaker AS b
       (connection_id, tenant_id, state, failures, last_code, last_failure_at, opened_at, next_at)
SELECT %s, %s, CASE WHEN opens THEN 'open' ELSE 'closed' END, 1, %s, at,
       CASE WHEN opens THEN at END, CASE WHEN opens THEN at + %s END
  FROM (SELECT 1 >= %s AS opens, clock_timestamp() AS at) first
    ON CONFLICT (connection_id) DO UPDATE
   SET failures = b.failures + 1, last_code = EXCLUDED.last_code, last_failure_at = EXCLUDED.last_failure_at,
       state = CASE WHEN b.state <> 'closed' OR b.failures + 1 >= %s THEN 'open' ELSE 'closed' END,
       opened_at = CASE WHEN b.state = 'closed' AND b.failures + 1 >= %s THEN clock_timestamp() ELSE b.opened_at END,
       next_at = CASE WHEN b.state <> 'closed' OR b.failures + 1 >= %s THEN clock_timestamp() + %s END
RETURNING state, failures
"""

# A stale answer, of a call that began before the breaker opened, closes it too: the far side answers.
ANSWERED = """
UPDATE executions_breaker SET state = 'closed', failures = 0, next_at = NULL
 WHERE connection_id = %s AND (failures > 0 OR state <> 'closed')
RETURNING opened_at
"""

# SKIP LOCKED: what is being claimed or ended at this moment needs no hand, and nobody waits here.
RELEASE = """
UPDATE executions_steprun SET due_at = clock_timestamp()
 WHERE id IN (SELECT id FROM executions_steprun
               WHERE tenant_id = %s AND status = 'retrying' AND reason = %s AND due_at > clock_timestamp()
                 AND 'connection:' || %s::text = ANY(needs)
                 FOR UPDATE SKIP LOCKED)
"""


def next_at(needs: Sequence[str]) -> datetime | None:
    """Return when what needs these connections may be tried; None where no breaker keeps it waiting."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT_AT, (list(needs),))
        row = cursor.fetchone()
    return _later(row[0]) if row and row[0] else None


def take_turn(needs: Sequence[str]) -> datetime | None:
    """Take the one try of each breaker that is not closed; return when to come again where somebody else tries.

    Inside the caller's transaction: what does not go on to call gives the turn back by rolling back.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK, (list(needs),))
        rows = cursor.fetchall()
        waiting = [row[1] for row in rows if row[2]]
        if waiting:
            return _later(max(waiting))
        if rows:
            tried: Sequence[Any] = (settings.SALLYPORT_BREAKER_PAUSE, [row[0] for row in rows])
            cursor.execute(TRY, tried)
    return None


def _later(moment: datetime) -> datetime:
    """Spread what waits, so that not all of it comes at once."""
    pause: timedelta = settings.SALLYPORT_BREAKER_PAUSE
    return moment + pause / 10 * random.random()  # noqa: S311 (jitter, no secret)


def learn(plan: Plan, result: Result, *, is_failing: bool) -> None:
    """Count what the calls of an attempt say of their far sides. Never raises: no outcome is lost for this.

    ``is_failing``: a breaker had counted failures before the call, so that an answer has to be written down.
    """
    connections = {call.key: call.connection for call in plan.calls}
    for record in result.calls:
        found = connections.get(record["key"])
        is_last = record is result.calls[-1]
        answered = None if found is None or (is_last and result.was_stopped) else answered_by(record)
        if found is None or answered is None or (answered and not is_failing):
            continue
        try:
            if answered:
                note_answer(found.pk, found.tenant_id)
            else:
                note_failure(found.pk, found.tenant_id, str(record["code"]))
        except Error:
            log.warning("breaker.not_counted", extra={"connection": str(found.pk)}, exc_info=True)


def answered_by(record: Mapping[str, Any]) -> bool | None:
    """Whether a call's record says that the far side answers (True), that it fails (False), or neither (None).

    A clear no (4xx, an exit code) is an answer. What we refused ourselves, and a step's own time limit, say nothing.
    """
    outcome, code, status = record["outcome"], record["code"], record["status"]
    if outcome == OutcomeKind.COMPLETED:
        return True
    if outcome == OutcomeKind.UNKNOWN or code in _UNREACHED:
        return False
    if (status is not None and status >= 500) or code == "server_error":
        return False
    if not record["sent"] or outcome == OutcomeKind.EXPIRED or code in _OURS:
        return None
    return True


def note_failure(connection_id: UUID, tenant_id: UUID, code: str) -> None:
    most, pause = settings.SALLYPORT_BREAKER_FAILURES, settings.SALLYPORT_BREAKER_PAUSE
    args: Sequence[Any] = (connection_id, tenant_id, code[:64], pause, most, most, most, most, pause)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FAILED, args)
        state, failures = cursor.fetchone()
    if state == "open":
        told = {"connection": str(connection_id), "failures": failures, "code": code}
        log.warning("breaker.open", extra=told)


def note_answer(connection_id: UUID, tenant_id: UUID) -> bool:
    """The far side answers: close its breaker and let what waits for it come; return whether there was any to close."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ANSWERED, (connection_id,))
        row = cursor.fetchone()
    if row is None:
        return False
    # A transaction of its own: breakers are locked after step runs.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RELEASE, (tenant_id, REASON, connection_id))
        released = cursor.rowcount
    if row[0] is not None:
        log.info("breaker.closed", extra={"connection": str(connection_id), "released": released})
    if released:
        transaction.on_commit(events.wake_dispatcher)
    return True
