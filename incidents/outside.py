"""Calls a system beside Sallyport through the guarded client, and reads its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from connectors import loop
from connectors.base import Endpoint
from connectors.policy import policy_for
from core import strict_json
from core.keyring import keyring
from core.outbound import BadAnswer, NoAnswer, OutboundRequest, OutboundResponse, Refused, shared_outbound
from core.secrets import open_sealed
from incidents.outside_models import IssueTracker, SignalSource
from incidents.services.issues import token_context

TIME_LIMIT: Final = timedelta(seconds=30)


class CallFailed(Exception):
    """Why, in words without secrets. ``is_final``: the same call would fail again."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


def call(method: str, url: str, *, headers: Mapping[str, str], allow_networks: Sequence[str], body: Any = None) -> Any:
    """Return the JSON of a 2xx answer, None for an empty one. Raises CallFailed."""
    endpoint = Endpoint(name="incidents", kind="http", url=url, allow_networks=tuple(allow_networks))
    request = OutboundRequest(
        method=method,
        url=url,
        policy=policy_for(endpoint),
        headers=tuple({"Content-Type": "application/json", "Accept": "application/json", **headers}.items()),
        body=None if body is None else strict_json.dumps(body),
        time_limit=TIME_LIMIT,
    )
    try:
        answer = loop.run(_send(request), time_limit=TIME_LIMIT + timedelta(seconds=1))
    except (Refused, NoAnswer, BadAnswer) as error:
        raise CallFailed(error.message) from None
    except loop.OutOfTime:
        raise CallFailed("no answer in time") from None
    return _read(answer)


def token_of(row: IssueTracker | SignalSource) -> str:
    """Raises CallFailed where none is stored."""
    if not row.sealed_token:
        raise CallFailed("its token is missing", is_final=True)
    return open_sealed(row.sealed_token, context=token_context(row), keyring=keyring()).reveal()


async def _send(request: OutboundRequest) -> OutboundResponse:
    return await shared_outbound().send(request)


def _read(answer: OutboundResponse) -> Any:
    if not 200 <= answer.status < 300:
        is_final = 400 <= answer.status < 500 and answer.status not in (408, 425, 429)
        raise CallFailed(f"it answered with status {answer.status}", is_final=is_final)
    if not answer.body.strip():
        return None
    try:
        return strict_json.loads(answer.body)
    except strict_json.JsonInvalid:
        raise CallFailed("its answer is no JSON") from None
