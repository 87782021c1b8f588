"""One turn of an execution: its row locked, and what is written before the lock is given back.

Everything that changes an execution happens in a turn, so events are numbered without gap (I23), a join
continues once (I12) and no claim follows a pause or a stop (I17, I18).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from core import failpoints
from executions import events, outbox, statements
from executions.engine.statuses import check_execution_move
from executions.rows import ExecutionRow
from executions.stored_json import brief, write_json


class Turn:
    """A locked execution. ``now`` is the database's clock at the lock, ``locked_at`` this machine's monotonic one."""

    def __init__(self, row: ExecutionRow) -> None:
        self.row = row
        self.now: datetime = row.now
        self.locked_at = time.monotonic()
        self.status = row.status
        self.reason = ""
        self.message = row.message
        self.held_at = row.held_at
        self.stop_as = row.stop_as
        self.stop_reason = row.stop_reason
        self.started_at = row.started_at
        self.ended_at: datetime | None = None
        self.exception_handled: bool | None = None
        self.step_runs_made = row.step_runs_made
        self.failed_steps = row.failed_steps
        self._events: list[tuple[str, UUID | None, dict[str, Any]]] = []
        self._stop_requested_at: datetime | None = None
        self.wakes_dispatcher = False

    @property
    def id(self) -> UUID:
        return self.row.id

    @property
    def is_live(self) -> bool:
        return self.status in ("pending", "running", "paused")

    @property
    def may_claim(self) -> bool:
        return self.is_live and self.held_at is None and not self.stop_as

    def event(self, type_: str, step_run: UUID | None = None, **data: Any) -> None:
        told = {name: brief(value) if isinstance(value, str) else value for name, value in data.items()}
        self._events.append((type_, step_run, told))

    def move(self, new: str) -> None:
        """Move the execution; the table of legal moves is asked, the lock makes it compare-and-set."""
        if new == self.status:
            return
        check_execution_move(self.status, new)
        self.status = new

    def begin(self) -> None:
        """E2 and E4: a step run was claimed."""
        if self.started_at is None:
            self.started_at = self.now
            self.event("execution.started")
        elif self.status == "paused":
            self.event("execution.resumed")
        self.move("running")

    def rest(self) -> None:
        """E3 and E4: tell running from paused by what the live step runs wait for."""
        if self.status not in ("running", "paused"):
            return
        if self.held_at is not None or not statements.can_move(self.id):
            if self.status == "running":
                self.move("paused")
                self.event("execution.paused", held=self.held_at is not None)
        elif self.status == "paused":
            self.move("running")
            self.event("execution.resumed")

    def hold(self, *, by: str) -> None:
        self.held_at = self.now
        if self.status in ("pending", "running"):
            self.move("paused")
        self.event("execution.paused", held=True, by=by)

    def lift_hold(self, *, by: str) -> None:
        self.held_at = None
        statements.publish_anew(self.id)
        if self.started_at is None:
            self.move("pending")
            self.event("execution.resumed", by=by)
        elif statements.can_move(self.id):
            self.move("running")
            self.event("execution.resumed", by=by)
        else:
            self.event("execution.paused", held=False, by=by)  # it still waits for something outside

    def ask_to_stop(self, as_: str, reason: str, message: str) -> None:
        """The first request keeps its reason (EXECUTION-SEMANTICS 4)."""
        if not self.stop_as:
            self.stop_as, self.stop_reason, self._stop_requested_at = as_, reason, self.now
            self.message = message

    def end(self, status: str, reason: str = "", message: str = "") -> None:
        """E5 to E7. The caller has seen that no step run is live."""
        if self.status == "pending" and status == "completed":
            self.begin()
        self.move(status)
        self.reason, self.message, self.ended_at = reason, message or self.message, self.now
        data: dict[str, Any] = {"reason": reason, "message": self.message} if reason else {}
        self.event(f"execution.{status}", **data)
        outbox.tell_end(self)
        if self.row.depth > 0:
            self.wakes_dispatcher = True  # a parent waits for this
            transaction.on_commit(lambda: failpoints.reach("after_child_end"))

    def close(self) -> None:
        """Write the events and the row; tell others once it is committed."""
        seq = self.row.last_seq
        statements.update_execution(
            self.id,
            self.now,
            (
                self.status,
                self.reason,
                brief(self.message),
                self.started_at,
                self.ended_at,
                self.held_at,
                self.stop_as,
                self.stop_reason,
                self._stop_requested_at,
                seq + len(self._events),
                self.step_runs_made,
                self.failed_steps,
                self.exception_handled,
            ),
            [
                (seq + index, type_, step_run, write_json(data))
                for index, (type_, step_run, data) in enumerate(self._events, start=1)
            ],
        )
        execution_id, tenant_id, wakes = self.id, self.row.tenant_id, self.wakes_dispatcher
        transaction.on_commit(lambda: events.announce(execution_id, tenant_id, wake=wakes), robust=True)


@contextmanager
def turn_of(execution_id: UUID) -> Iterator[Turn | None]:
    """Lock an execution for one transaction; None if there is no such execution."""
    with transaction.atomic():
        row = statements.lock_execution(execution_id)
        if row is None:
            yield None
            return
        turn = Turn(row)
        yield turn
        turn.close()
