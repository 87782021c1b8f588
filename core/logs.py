"""What happens to a log record while secrets are in use: they become stars, long values are cut (SEC-14, SEC-20)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from core.secrets import Scrubber

#: characters of one value
LONGEST_VALUE: Final = 2_048

_scrubbers: ContextVar[tuple[Scrubber, ...]] = ContextVar("scrubbers", default=())


@contextmanager
def scrubbing(scrubber: Scrubber) -> Iterator[None]:
    """Scrub every record that is logged inside, also by tasks and calls on an event loop that are started inside."""
    token = _scrubbers.set((*_scrubbers.get(), scrubber))
    try:
        yield
    finally:
        _scrubbers.reset(token)


class ScrubbingFilter(logging.Filter):
    """To be put on handlers, so that records of every logger pass it. Lets all records through, changed."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_shortened, record.args))
        scrubbers = _scrubbers.get()
        if not scrubbers:
            return True
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            # A traceback shows arguments of exceptions: its text is scrubbed and goes with the message.
            text = f"{text} | {''.join(traceback.format_exception(*record.exc_info))}"
            record.exc_info = None
        # Scrubbed before anything is cut: half a secret could not be found.
        for scrubber in scrubbers:
            text = scrubber.text(text)
        record.msg, record.args, record.exc_text = text, (), None
        return True


def _shortened(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= LONGEST_VALUE or _scrubbers.get():
        return value
    return f"{value[:LONGEST_VALUE]}... ({len(value)} characters)"
