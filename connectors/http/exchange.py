"""One request through the one HTTP client, with the log-on and the headers that a connection asks for."""

from __future__ import annotations

from connectors.base import Command, Endpoint, Outcome, failed, unknown
from connectors.http.answers import failure_of
from connectors.http.login import login_header
from connectors.http.requests import HttpRequest
from connectors.http.schema import SAFE_METHODS
from connectors.policy import policy_for
from core.outbound import BadAnswer, NoAnswer, OutboundRequest, OutboundResponse, Refused, shared_outbound

#: refusals that another attempt may not meet: the network's, and the lease's
_PASSING = frozenset({"dns_failed", "connect_failed", "tls_failed", "timeout_before_send", "lease_lost"})


async def exchange(command: Command, request: HttpRequest) -> OutboundResponse | Outcome:
    """Send ``request``; return the answer, whatever its status, or the outcome where there is none that can be read."""
    endpoint = command.endpoint
    if endpoint is None:
        return failed("no_target", "A request needs an address.", sent=False, retry=False)
    try:
        return await shared_outbound().send(
            OutboundRequest(
                method=request.method,
                url=request.url,
                policy=policy_for(endpoint),
                headers=_headers(command, endpoint, request),
                body=request.content,
                time_limit=command.time_limit,
                before_send=command.before_send,
                pool=endpoint.pool,
            )
        )
    except Refused as error:
        return failed(error.code, error.message, sent=False, retry=None if error.code in _PASSING else False)
    except BadAnswer as error:
        by_status = failure_of(error.status, {})
        return by_status or failed("bad_answer", error.message, sent=True, status=error.status, retry=False)
    except NoAnswer as error:
        return unknown(error.message)


def _headers(command: Command, endpoint: Endpoint, request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """The author's headers, and ours in place of those of the same name."""
    ours = dict(command.headers) if endpoint.settings.get("trace_headers") else {}
    if endpoint.keyed and request.method not in SAFE_METHODS:
        ours[str(endpoint.settings.get("idempotency_header") or "Idempotency-Key")] = command.key
    login = login_header(endpoint)
    if login is not None:
        ours[login[0]] = login[1]
    names = {name.lower() for name in ours}
    return (*(header for header in request.headers if header[0].lower() not in names), *ours.items())
