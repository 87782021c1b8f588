"""Sends one outgoing webhook through the guarded client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from connectors import loop
from connectors.base import Endpoint
from connectors.policy import policy_for
from core.outbound import BadAnswer, NoAnswer, OutboundRequest, Refused, shared_outbound

TIME_LIMIT = timedelta(seconds=10)


def post(url: str, *, body: bytes, headers: Mapping[str, str], allow_networks: Sequence[str]) -> str | None:
    """Send ``body``; return None when the far side took it (2xx), else why not, in words without the body."""
    endpoint = Endpoint(name="webhook", kind="http", url=url, allow_networks=tuple(allow_networks))
    request = OutboundRequest(
        method="POST",
        url=url,
        policy=policy_for(endpoint),
        headers=tuple(headers.items()),
        body=body,
        time_limit=TIME_LIMIT,
    )
    try:
        status = loop.run(_status(request), time_limit=TIME_LIMIT + timedelta(seconds=1))
    except (Refused, NoAnswer, BadAnswer, loop.OutOfTime) as error:
        return str(error) or "no answer in time"
    return None if 200 <= status < 300 else f"answered with status {status}"


async def _status(request: OutboundRequest) -> int:
    return (await shared_outbound().send(request)).status
