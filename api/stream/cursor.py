"""Reads on from where a stream is. Blocking, and not shared between streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from django.http import HttpRequest

from accounts.models import Tenant
from api.stream.closing import Closed, Code
from api.stream.frames import event_frame
from executions.events import execution_group, tenant_group
from executions.following import Mark, events_after, get_head, mark_now, tenant_events_after
from executions.selectors import ExecutionNotFound

#: Frames that wait for one client at most (SEC-32).
BATCH: Final = 100
FINAL_EVENTS: Final = frozenset({"execution.completed", "execution.failed", "execution.cancelled"})

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"pexec-([0-9]{1,18})")
_SEQ = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Batch:
    """Some frames in order. ``has_more``: read again at once. ``ending``: nothing follows, and this is why."""

    frames: tuple[str, ...] = ()
    has_more: bool = False
    ending: Closed | None = None


class Cursor(Protocol):
    #: whose announcements wake the stream
    group: str

    def begin(self) -> None:
        """Called once, after announcements are heard and before the client is told that it is connected."""

    def read(self) -> Batch:
        """Return what follows; it counts as sent."""


class ExecutionCursor:
    """Every event of one execution after a ``seq``, to its end."""

    def __init__(self, tenant: Tenant, execution_id: UUID, after: int) -> None:
        self._tenant, self._id, self._seq = tenant, execution_id, after
        self._has_looked = False
        self.group = execution_group(execution_id)

    def begin(self) -> None:
        pass

    def read(self) -> Batch:
        events = events_after(self._tenant, self._id, seq=self._seq, limit=BATCH)
        frames = tuple(map(event_frame, events))
        if events:
            self._seq = events[-1].seq
        if len(events) == BATCH:
            return Batch(frames, has_more=True)
        may_be_over = not self._has_looked or not events or any(event.type in FINAL_EVENTS for event in events)
        self._has_looked = True
        if not may_be_over:
            return Batch(frames)
        # Read after the events: when they reach the head of a final execution, none is missing.
        head = get_head(self._tenant, id=self._id)
        if not head.is_final:
            return Batch(frames)
        if self._seq < head.last_seq:
            return Batch(frames, has_more=True)
        return Batch(frames, ending=Closed(Code.ENDED, f"The execution is {head.status}. The last seq is {self._seq}."))


class TenantCursor:
    """Every event of every execution of a tenant, from the moment of the connect."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._mark = Mark(0)
        self.group = tenant_group(tenant.id)

    def begin(self) -> None:
        self._mark = mark_now()

    def read(self) -> Batch:
        events, mark = tenant_events_after(self._tenant, self._mark, limit=BATCH)
        has_more, self._mark = mark != self._mark, mark
        return Batch(tuple(map(event_frame, events)), has_more=has_more)


def execution_cursor(tenant: Tenant, request: HttpRequest, arguments: dict[str, Any]) -> Cursor:
    """Return the cursor that path and query ask for. Raises Closed: NOT_FOUND, BAD_REQUEST."""
    after = _after(request)
    try:
        head = get_head(tenant, **_reference(arguments["reference"]))
    except ExecutionNotFound:
        raise Closed(Code.NOT_FOUND, "There is no such execution.") from None
    if after > head.last_seq:
        raise Closed(Code.BAD_REQUEST, f"after={after} is beyond the last event, {head.last_seq}.")
    return ExecutionCursor(tenant, head.id, after)


def tenant_cursor(tenant: Tenant, request: HttpRequest, arguments: dict[str, Any]) -> Cursor:
    """Raises Closed (BAD_REQUEST) when the client wants to resume: over executions there is no seq to resume from."""
    if "after" in request.GET:
        raise Closed(Code.BAD_REQUEST, "This stream is live only: resume each execution by its own stream.")
    return TenantCursor(tenant)


def _reference(text: str) -> dict[str, Any]:
    if _UUID.fullmatch(text):
        return {"id": UUID(text)}
    if number := _NUMBER.fullmatch(text):
        return {"number": int(number[1])}
    raise ExecutionNotFound("There is no such execution.")


def _after(request: HttpRequest) -> int:
    given = request.GET.getlist("after", ["0"])
    if len(given) != 1 or not _SEQ.fullmatch(given[0]):
        raise Closed(Code.BAD_REQUEST, "after must be the seq of an event, a whole number from 0.")
    return int(given[0])
