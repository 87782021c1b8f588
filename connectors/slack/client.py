"""Three methods of Slack's Web API. Source: Slack's reference, ``chat.postMessage``, ``conversations.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from connectors.base import Command, Outcome, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import HttpRequest
from core import strict_json

_CREDENTIAL = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_permission",
    }
)
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})


async def call(
    command: Command, method: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
) -> Mapping[str, Any] | Outcome:
    """Call a method: POST with a JSON ``body``, or GET with a ``query``. Return its answer, or how it failed."""
    url = _url(command, method)
    if body is not None:
        headers = (("Content-Type", "application/json; charset=utf-8"),)
        request = HttpRequest("POST", url, headers, strict_json.dumps(dict(body)))
    else:
        request = HttpRequest("GET", f"{url}?{urlencode(query or {})}")
    answer = await exchange(command, request)
    if isinstance(answer, Outcome):
        return answer
    failure = failure_of(answer.status, answer.headers)
    if failure is not None:
        return failure
    try:
        value = strict_json.loads(answer.body)
    except strict_json.JsonInvalid:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
        return failed("bad_answer", "Slack's answer cannot be read.", sent=True, status=answer.status, retry=False)
    return value if value["ok"] else _refusal(str(value.get("error", "")))


def _url(command: Command, method: str) -> str:
    """The method's address, whether the connection names Slack's host or its API."""
    base = command.endpoint.url.rstrip("/") if command.endpoint else ""
    return f"{base}/{method}" if urlsplit(base).path.endswith("/api") else f"{base}/api/{method}"


def _refusal(word: str) -> Outcome:
    message = f"Slack refused: {word[:100] or 'no reason given'}."
    if word in _CREDENTIAL:
        return failed("unauthorized", message, sent=True, retry=False)
    if word in _PASSING:
        return failed("server_error", message, sent=True)
    return failed("client_error", message, sent=True, retry=False)
