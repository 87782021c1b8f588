"""The end of a worker process (SIGTERM): nothing more is claimed, and the process ends within its grace.

What has not begun its call is handed back at once. Calls that are out may end and are recorded. When the grace is over,
calls without an intent (reads) are cut and handed back; what is still out then is left to its lease.

With ``--pool=prefork`` the parent is told, and its children hold the leases: they share a pipe whose other end the
parent closes when it begins to drain, or when it is gone.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from django.conf import settings

from executions.leases import keeper

log = logging.getLogger(__name__)

#: how long what was cut has for being handed back, in seconds; a part of the grace
HANDING_BACK = 2.0

_has_begun = threading.Event()
#: of the pipe of a worker process and its children: what they read, and what it alone holds open
_pipe: tuple[int, int] | None = None


def has_begun() -> bool:
    return _has_begun.is_set()


def begun() -> threading.Event:
    """The event itself, for those that wait."""
    return _has_begun


def begin() -> None:
    """Drain; safe in a signal handler. The process ends by itself when its threads are done, or is ended."""
    if _has_begun.is_set():
        return
    _has_begun.set()
    if _pipe is not None:
        os.close(_pipe[1])
    grace = settings.SALLYPORT_DRAIN_GRACE.total_seconds()
    threading.Thread(target=_end, args=(grace,), name="drain", daemon=True).start()


def expect_children() -> None:
    """Called once in a worker process before its pool is there."""
    global _pipe
    _pipe = os.pipe()


def follow_parent() -> None:
    """Called in a process that the pool has forked: drain when the parent does. One forked later claims nothing."""
    global _pipe
    if _pipe is None or _has_begun.is_set():
        return
    reading, held_open = _pipe
    _pipe = None
    os.close(held_open)
    threading.Thread(target=_follow, args=(reading,), name="parent", daemon=True).start()


def _follow(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written
    os.close(pipe)
    begin()


def _end(grace: float) -> None:
    """Let calls end; then cut what may be cut; when the grace is over end the process, whatever its threads do."""
    ends_at = time.monotonic() + grace
    keeper.wait_until_idle(max(grace - HANDING_BACK, grace / 2))
    keeper.cut_what_may_be_handed_back()
    time.sleep(max(ends_at - time.monotonic(), 0))  # this thread does not outlive the process
    log.warning("drain.left", extra={"step_runs": [str(step_run) for step_run in keeper.held()]})
    logging.shutdown()
    os._exit(0)  # what is still out is left to its lease
