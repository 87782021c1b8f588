"""One request of a toolkit's action, and what its answer means. A failed answer never retries here: the engine does.

The codes of these failures are words of our own. A toolkit has a breaker that counts actions; were these counted by
the breaker of the connection too, that one would open in the middle of an action's tries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from connectors.base import Command, EffectClass, Outcome, OutcomeKind, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import HttpRequest
from core import strict_json

#: the longest that a far side's Retry-After is waited for
LONGEST_WAIT: Final = timedelta(seconds=30)
FAILED: Final = "action_failed"
_JSON: Final = (("Accept", "application/json"),)


async def ask(
    command: Command,
    method: str,
    path: str,
    *,
    form: Sequence[tuple[str, str]] | None = None,
    body: Any = None,
    accepted: Sequence[int] = (),
    **settings: Any,
) -> Any:
    """Send one request below the connection's address. Return the answer's JSON value, or an Outcome that failed.

    ``accepted``: statuses besides 2xx whose body is given back. ``settings`` go before the connection's own.
    """
    endpoint = command.endpoint
    base = endpoint.url.rstrip("/") if endpoint else ""
    headers: tuple[tuple[str, str], ...] = _JSON
    content = None
    if form is not None:
        headers, content = (*_JSON, ("Content-Type", "application/x-www-form-urlencoded")), urlencode(form).encode()
    elif body is not None:
        headers, content = (*_JSON, ("Content-Type", "application/json")), strict_json.dumps(body)
    if endpoint is not None:
        keyed = command.effect is EffectClass.KEYED
        command = replace(command, endpoint=replace(endpoint, keyed=keyed, settings={**settings, **endpoint.settings}))
    answer = await exchange(command, HttpRequest(method, f"{base}{path}", headers, content))
    if isinstance(answer, Outcome):
        return _without_answer(command, answer)
    failure = None if answer.status in accepted else failure_of(answer.status, answer.headers)
    if failure is not None:
        return _refused(command, failure, answer.body)
    try:
        return strict_json.loads(answer.body) if answer.body.strip() else {}
    except strict_json.JsonInvalid:
        return failed("bad_answer", f"The answer of {_vendor(command)} cannot be read.", sent=True, retry=False)


def as_object(value: Any) -> Mapping[str, Any]:
    """Return an answer's object; {} where the vendor sent something else."""
    return value if isinstance(value, Mapping) else {}


def _without_answer(command: Command, outcome: Outcome) -> Outcome:
    """No answer to a call that may be repeated is a failed try; to any other nobody knows, which people look into."""
    if outcome.kind is OutcomeKind.UNKNOWN and command.effect.is_repeatable:
        return failed("no_answer", outcome.message, sent=True)
    if outcome.kind is OutcomeKind.FAILED and not outcome.sent and outcome.retry is None:
        return replace(outcome, code=FAILED, message=f"{_vendor(command)} was not reached: {outcome.message}")
    return outcome


def _refused(command: Command, failure: Outcome, body: bytes) -> Outcome:
    said = _said(body)
    message = f"{_vendor(command)}: {failure.message}{f' It said: {said}' if said else ''}"
    if failure.code == "unauthorized":
        return replace(failure, message=message)
    wait = min(failure.retry_at, LONGEST_WAIT) if failure.retry_at is not None else None
    return replace(failure, code=FAILED, message=message, status=None, retry_at=wait)


def _said(body: bytes) -> str:
    """The vendor's own sentence, where its answer holds one in a place that we know."""
    try:
        value = strict_json.loads(body)
    except strict_json.JsonInvalid:
        return ""
    found = as_object(value)
    error = found.get("error") or found.get("errors") or found.get("errorSummary") or ""
    if isinstance(error, list):
        error = error[0] if error else ""
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or error.get("code") or ""
    return str(error)[:200] if isinstance(error, str) else ""


def _vendor(command: Command) -> str:
    return command.operation.partition(".")[0]
