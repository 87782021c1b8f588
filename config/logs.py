"""One event, one line: whatever a value holds, it cannot forge a second line or drive a terminal (SEC-14)."""

from __future__ import annotations

import logging
import time

LONGEST = 8_192
OURS = frozenset({"accounts", "api", "config", "connectors", "core", "executions", "incidents", "manual", "playbooks"})
STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "request_id"}
#: C0 and C1 controls, line separators, and the characters that turn the reading direction
FORBIDDEN = {
    code: f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def one_line(text: str) -> str:
    """Return the text with controls written out, cut at LONGEST characters."""
    cut = text if len(text) <= LONGEST else text[:LONGEST] + f"... ({len(text)} characters)"
    return cut.translate(FORBIDDEN)


class NotProbes(logging.Filter):
    """Drops Django's line about an answer of 503 to a probe: while things start there are many."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(getattr(record, "request", None), "path", "").startswith("/health/")


class OneLine(logging.Formatter):
    """``2026-01-31T12:00:00.123Z INFO executions.tasks [request id]: message``; then a traceback."""

    def converter(self, seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
        text = record.getMessage()
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        answering = getattr(record, "request_id", "")
        request = f" [{answering}]" if answering else ""
        text += "".join(f" {name}={value}" for name, value in _given(record))
        return f"{stamp}.{int(record.msecs):03d}Z {record.levelname} {record.name}{request}: {one_line(text)}"


def _given(record: logging.LogRecord) -> list[tuple[str, object]]:
    """What our own code gave beside the message (``extra``): ids and counts, which say what an alarm is about."""
    if record.name.partition(".")[0] not in OURS:
        return []
    return [
        (name, value)
        for name, value in record.__dict__.items()
        if name not in STANDARD and isinstance(value, str | int | float)
    ]
