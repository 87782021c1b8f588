"""JSON calls of an index. Paths hold only what the operations' schemas let through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connectors.base import Command, Outcome, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import HttpRequest
from core import strict_json


async def call(
    command: Command, method: str, path: str, query: Mapping[str, str] | None = None
) -> Mapping[str, Any] | Outcome:
    """Call a path below the connection's address. Return the answer's object, or how it failed."""
    base = command.endpoint.url.rstrip("/") if command.endpoint else ""
    url = f"{base}{path}{'?' if query else ''}{urlencode(query or {})}"
    answer = await exchange(command, HttpRequest(method, url, (("Accept", "application/json"),)))
    if isinstance(answer, Outcome):
        return answer
    failure = failure_of(answer.status, answer.headers)
    if failure is not None:
        return failure
    try:
        value = strict_json.loads(answer.body)
    except strict_json.JsonInvalid:
        value = None
    if isinstance(value, dict):
        return value
    return failed("bad_answer", "The cluster's answer cannot be read.", sent=True, status=answer.status, retry=False)
