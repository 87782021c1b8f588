"""What a status of the far side means (CONNECTORS.md, 1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from connectors.base import Outcome, failed

#: the longest wait that a far side may ask for (K08)
LONGEST_WAIT = timedelta(hours=1)
#: what is waited when it asks for patience without saying how long
DEFAULT_WAIT = timedelta(seconds=5)
_PATIENCE = frozenset({408, 425, 429})


def failure_of(status: int, headers: Mapping[str, str]) -> Outcome | None:
    """Return the failed outcome of an answer, without its body; None for 200-299.

    ``headers`` have names in small letters. 4xx is never retried; 401 and 403 have the code ``unauthorized``; an
    answer that asks for patience says in ``retry_at`` how long; 5xx leaves the rest to the effect class.
    """
    if 200 <= status < 300:
        return None
    if status in _PATIENCE or (status == 503 and "retry-after" in headers):
        return failed(
            "rate_limited",
            f"The far side asks to wait (HTTP {status}).",
            sent=True,
            status=status,
            retry_at=wait_of(headers.get("retry-after")),
        )
    code, message, retry = _words(status)
    return failed(code, f"{message} (HTTP {status}).", sent=True, status=status, retry=retry)


def _words(status: int) -> tuple[str, str, bool | None]:
    if status in (401, 403):
        return "unauthorized", "The far side refused the credential or the right", False
    if 300 <= status < 400:
        return "redirected", "The far side sent the request elsewhere, which is not followed", False
    if status >= 500:
        return "server_error", "The far side failed", None
    return "client_error", "The far side refused the request", False


def wait_of(retry_after: str | None, *, now: datetime | None = None) -> timedelta:
    """Read ``Retry-After``: seconds or a date. What cannot be read or is past counts as DEFAULT_WAIT."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        seconds = min(int(text[:10]), int(LONGEST_WAIT.total_seconds()))
        return timedelta(seconds=seconds) if seconds else DEFAULT_WAIT
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return DEFAULT_WAIT
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = moment - (now or datetime.now(UTC))
    return min(wait, LONGEST_WAIT) if wait > timedelta(0) else DEFAULT_WAIT
