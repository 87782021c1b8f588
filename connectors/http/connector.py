"""``http.request``: one request, its answer as it came."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.base import Command, Outcome, completed, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import request_of
from core import strict_json
from core.errors import Invalid
from core.outbound import OutboundResponse


class HttpConnector:
    """CACAO's ``http-api`` gives back the body as text; ``act-http-request`` status, headers and body."""

    async def run(self, command: Command) -> Outcome:
        if command.endpoint is None:
            return failed("no_target", "A request needs an address.", sent=False, retry=False)
        try:
            request = request_of(command.arguments, command.endpoint)
        except Invalid as error:
            return failed(error.code, error.message, sent=False, retry=False)
        answer = await exchange(command, request)
        if isinstance(answer, Outcome):
            return answer
        output = answer.text if "command" in command.arguments else _described(answer)
        is_gone = request.method == "DELETE" and answer.status == 404  # what was to be gone is not there
        failure = None if is_gone else failure_of(answer.status, answer.headers)
        if failure is not None:
            return replace(failure, output=output, headers=answer.headers)
        return completed(output, status=answer.status, headers=answer.headers)


def _described(answer: OutboundResponse) -> dict[str, Any]:
    return {"status": answer.status, "headers": dict(answer.headers), "body": _body(answer)}


def _body(answer: OutboundResponse) -> Any:
    """JSON where the answer says or may mean so, and is; else text; None when it is empty."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not answer.body:
        return None
    if kind in ("", "application/json") or kind.endswith("+json"):
        try:
            return strict_json.loads(answer.body)
        except strict_json.JsonInvalid:
            pass  # it only says so
    return answer.text
