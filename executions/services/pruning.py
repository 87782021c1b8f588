"""Retention: what ended long enough ago is deleted, for the tenants that say for how long they keep it.

An execution goes with all that it started, in one short transaction, or stays with all of it. Rows that somebody has
locked are passed over, so nobody waits for it and it waits for nobody; what was passed over is met again next time.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from accounts.models import Tenant
from executions.delivering import TRIES
from executions.services.tidying import CALLERS_KEY, EVENTS_KEY
from executions.statements import database_now, wait_for_locks_at_most

log = logging.getLogger(__name__)

#: executions looked at by one statement
WINDOW: Final = 200
#: step runs deleted by one transaction, if its first execution has no more by itself
BATCH: Final = 500
#: what points at an old execution (run again) is locked for a moment; longer than this nothing is waited for
PATIENCE: Final = timedelta(milliseconds=500)
#: of each second, when the sweep does it; and between the end of one pass over all tenants and the next
SLICE: Final = 0.2
REST: Final = 60.0

_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))

# Index execution_newest, read backwards: the oldest first.
OLDEST = """
SELECT created_at, id FROM executions_execution
 WHERE tenant_id = %(tenant)s AND created_at >= %(at)s AND (created_at > %(at)s OR id < %(id)s)
   AND created_at <= %(cutoff)s
 ORDER BY created_at, id DESC LIMIT %(size)s
"""
# What was started by itself and has ended, each with all that it started in turn.
TREES = """
WITH RECURSIVE tree (root, id) AS (
    SELECT e.id, e.id FROM executions_execution e
     WHERE e.id = ANY(%(ids)s) AND e.parent_step_run_id IS NULL AND e.ended_at <= %(cutoff)s
  UNION ALL
    SELECT t.root, c.id FROM tree t
      JOIN executions_steprun s ON s.execution_id = t.id AND s.kind = 'child'
      JOIN executions_execution c ON c.parent_step_run_id = s.id)
SELECT t.root, array_agg(e.id), sum(e.step_runs_made)
  FROM tree t JOIN executions_execution e ON e.id = t.id GROUP BY t.root ORDER BY min(e.created_at), t.root
"""
LOCK = "SELECT id FROM executions_execution WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE SKIP LOCKED"
# Asked under the locks: a review, an answer or a child comes only to an execution that can be locked.
KEPT = """
SELECT e.id FROM executions_execution e
 WHERE e.id = ANY(%(ids)s) AND (
       e.ended_at IS NULL OR e.ended_at > %(cutoff)s
    OR (e.start_key IS NOT NULL AND (e.created_at > clock_timestamp() - %(callers_key)s
        OR (e.actor ->> 'kind' = 'trigger' AND e.created_at > clock_timestamp() - %(events_key)s)))
    OR EXISTS (SELECT 1 FROM executions_review r WHERE r.execution_id = e.id AND r.status = 'open')
    OR EXISTS (SELECT 1 FROM manual_manualrequest m WHERE m.execution_id = e.id AND m.status = 'open')
    OR EXISTS (SELECT 1 FROM executions_steprun s WHERE s.execution_id = e.id AND s.ended_at IS NULL)
    OR EXISTS (SELECT 1 FROM executions_execution a WHERE a.again_of_id = e.id AND a.ended_at IS NULL)
    OR EXISTS (
        SELECT 1 FROM executions_outboxmessage o JOIN executions_webhooktarget w ON w.id = o.target_id
         WHERE o.body ->> 'execution' = e.id::text AND o.sent_at IS NULL AND o.tries < %(tries)s AND w.is_enabled))
"""
# In the order of what points at what.
DELETE: Final[Mapping[str, str]] = {
    "votes": "DELETE FROM manual_vote v USING manual_manualrequest m"
    " WHERE m.id = v.request_id AND m.execution_id = ANY(%(ids)s)",
    "manual requests": "DELETE FROM manual_manualrequest WHERE execution_id = ANY(%(ids)s)",
    "reviews": "DELETE FROM executions_review WHERE execution_id = ANY(%(ids)s)",
    "attempts": "DELETE FROM executions_attempt a USING executions_steprun s"
    " WHERE s.id = a.step_run_id AND s.execution_id = ANY(%(ids)s)",
    "events": "DELETE FROM executions_event WHERE execution_id = ANY(%(ids)s)",
    "payloads": "DELETE FROM executions_payload WHERE execution_id = ANY(%(ids)s)",
    "step runs": "DELETE FROM executions_steprun WHERE execution_id = ANY(%(ids)s)",
    "scopes": "DELETE FROM executions_scope WHERE execution_id = ANY(%(ids)s)",
    "executions": "DELETE FROM executions_execution WHERE id = ANY(%(ids)s)",
}
# Index execution of again_of; what was run again from here has ended too.
FORGET_ORIGIN = "UPDATE executions_execution SET again_of_id = NULL WHERE again_of_id = ANY(%(ids)s)"
# Index outbox_oldest. A message that was not sent goes when its tries are used up or nobody wants it any more.
MESSAGES = """
SELECT o.id FROM executions_outboxmessage o JOIN executions_webhooktarget w ON w.id = o.target_id
 WHERE o.tenant_id = %(tenant)s AND o.created_at <= %(cutoff)s
   AND (o.sent_at IS NOT NULL OR o.tries >= %(tries)s OR NOT w.is_enabled)
 ORDER BY o.created_at LIMIT %(size)s FOR UPDATE OF o SKIP LOCKED
"""
DELETE_MESSAGES = "DELETE FROM executions_outboxmessage WHERE id = ANY(%(ids)s)"

Deleted = Counter[str]


def list_tenants_with_policy() -> list[Tenant]:
    return list(Tenant.objects.filter(keep_days__isnull=False).order_by("created_at", "id"))


def prune(tenant: Tenant, *, limit: int | None = None, dry_run: bool = False) -> Iterator[Deleted]:
    """Delete what the tenant's policy lets go, the oldest first; yield what each step of it deleted, maybe nothing.

    ``limit``: executions at most, but what an execution started goes with it. ``dry_run`` tells and deletes nothing.
    Whatever was yielded is committed: it may be ended at any time, and begun anew.
    """
    if tenant.keep_days is None:
        return
    cutoff = database_now() - timedelta(days=tenant.keep_days)
    done = 0
    for window in _windows(tenant, cutoff):
        yield Deleted()
        if not Tenant.objects.filter(pk=tenant.pk, keep_days=tenant.keep_days).exists():
            return  # the policy was changed meanwhile: what is left is for a pass with the new one
        for batch in _batches(_rows(TREES, {"ids": window, "cutoff": cutoff})):
            deleted = _delete(batch if limit is None else batch[: limit - done], cutoff, dry_run=dry_run)
            done += deleted["executions"]
            yield deleted
            if limit is not None and done >= limit:
                return
    while (deleted := _delete_messages(tenant, cutoff, dry_run=dry_run))["messages"]:
        yield deleted
        if dry_run:
            return


class Pruner:
    """What the sweep does of it: a small slice each second, and a rest after each pass over all tenants."""

    def __init__(self) -> None:
        self._steps: Iterator[Deleted] = iter(())
        self._resting_until = 0.0

    def go_on(self) -> int:
        """Go on where the last slice ended, for SLICE seconds or one step; return how many executions were deleted."""
        if time.monotonic() < self._resting_until:
            return 0
        until = time.monotonic() + SLICE
        deleted = 0
        for step in self._steps:
            deleted += step["executions"]
            if time.monotonic() >= until:
                return deleted
        self._steps = (step for tenant in list_tenants_with_policy() for step in prune(tenant))
        self._resting_until = time.monotonic() + REST
        return deleted


def _windows(tenant: Tenant, cutoff: datetime) -> Iterator[list[UUID]]:
    place = _FIRST
    while True:
        args = {"tenant": tenant.pk, "at": place[0], "id": place[1], "cutoff": cutoff, "size": WINDOW}
        found = _rows(OLDEST, args)
        if not found:
            return
        yield [row[1] for row in found]
        place = found[-1]


#: a root, and it with all that it started, and how many step runs they have
Tree = tuple[UUID, list[UUID], int]


def _batches(trees: Sequence[Tree]) -> Iterator[list[Tree]]:
    batch: list[Tree] = []
    size = 0
    for tree in trees:
        if batch and size + tree[2] > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(tree)
        size += tree[2]
    if batch:
        yield batch


def _delete(trees: Sequence[Tree], cutoff: datetime, *, dry_run: bool) -> Deleted:
    """Delete those that nobody has locked and nothing keeps."""
    ids = [id_ for _, members, _ in trees for id_ in members]
    try:
        with transaction.atomic():
            wait_for_locks_at_most(PATIENCE)
            free = set(ids) if dry_run else {row[0] for row in _rows(LOCK, {"ids": ids})}
            free -= {row[0] for row in _rows(KEPT, {"ids": ids, "cutoff": cutoff, **_SPANS})}
            going = [tree for tree in trees if free.issuperset(tree[1])]
            chosen = [id_ for _, members, _ in going for id_ in members]
            if dry_run:
                return Deleted({"executions": len(chosen), "step runs": sum(int(tree[2]) for tree in going)})
            return _delete_rows(chosen)
    except IntegrityError:
        # Something came to point at one of them after it was looked at; the next pass sees it.
        log.warning("prune.put_off", exc_info=True, extra={"executions": len(ids)})
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.info("prune.locked", extra={"executions": len(ids)})
    return Deleted()


_SPANS: Final[Mapping[str, Any]] = {"callers_key": CALLERS_KEY, "events_key": EVENTS_KEY, "tries": TRIES}


def _delete_rows(ids: Sequence[UUID]) -> Deleted:
    deleted = Deleted()
    if ids:
        _change(FORGET_ORIGIN, {"ids": ids})
        for name, sql in DELETE.items():
            deleted[name] = _change(sql, {"ids": ids})
    return deleted


def _delete_messages(tenant: Tenant, cutoff: datetime, *, dry_run: bool) -> Deleted:
    args = {"tenant": tenant.pk, "cutoff": cutoff, "tries": TRIES, "size": BATCH}
    with transaction.atomic():
        ids = [row[0] for row in _rows(MESSAGES, args)]
        if ids and not dry_run:
            _change(DELETE_MESSAGES, {"ids": ids})
    return Deleted({"messages": len(ids)})


def _rows(sql: str, args: Mapping[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def _change(sql: str, args: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return int(cursor.rowcount)
