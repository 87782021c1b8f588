"""Calls of Jira Cloud's REST API, version 3: create an issue, search by JQL, who am I."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.base import Command, Outcome, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import HttpRequest
from core import strict_json

_API = "/rest/api/3"


def site(command: Command) -> str:
    """Return the site's address, also where the connection names its API."""
    base = command.endpoint.url.rstrip("/") if command.endpoint else ""
    return base.removesuffix(_API) if urlsplit(base).path.endswith(_API) else base


async def get(command: Command, path: str) -> Mapping[str, Any] | Outcome:
    """Ask a path of the API. Return the answer's object, or how it failed."""
    return await _ask(command, HttpRequest("GET", f"{site(command)}{_API}{path}", (("Accept", "application/json"),)))


async def post(command: Command, path: str, body: Mapping[str, Any]) -> Mapping[str, Any] | Outcome:
    """Send ``body`` to a path of the API. Return the answer's object, or how it failed."""
    headers = (("Content-Type", "application/json"), ("Accept", "application/json"))
    return await _ask(
        command, HttpRequest("POST", f"{site(command)}{_API}{path}", headers, strict_json.dumps(dict(body)))
    )


async def _ask(command: Command, request: HttpRequest) -> Mapping[str, Any] | Outcome:
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
    if isinstance(value, dict):
        return value
    return failed("bad_answer", "Jira's answer cannot be read.", sent=True, status=answer.status, retry=False)
