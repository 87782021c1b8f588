"""The four calls of ``openapi.yaml``, and its two shapes as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base import Command, Outcome, failed
from connectors.http.answers import failure_of
from connectors.http.exchange import exchange
from connectors.http.requests import HttpRequest
from core import strict_json


@dataclass(frozen=True)
class Versions:
    """``targets``: version -> the percent it is on the way to; ``percents``: what it serves now."""

    stable: str | None
    previous: str | None
    percents: Mapping[str, int]
    targets: Mapping[str, int]


async def versions(command: Command) -> Versions | Outcome:
    answer = await _call(command, "GET", "/versions")
    if isinstance(answer, Outcome):
        return answer
    try:
        listed = {
            str(row["version"]): (_percent(row["percent"]), _percent(row["target_percent"]))
            for row in answer["versions"]
        }
        return Versions(
            stable=_name(answer["stable"]),
            previous=_name(answer["previous"]),
            percents={name: now for name, (now, _) in listed.items()},
            targets={name: target for name, (_, target) in listed.items()},
        )
    except (KeyError, TypeError, ValueError):
        return failed("bad_answer", "The planner's list of versions cannot be read.", sent=True, retry=False)


async def change(command: Command, method: str, path: str, body: Mapping[str, Any]) -> tuple[str, int] | Outcome:
    """Make a change. Return the version it is about and the percent it is on the way to."""
    answer = await _call(command, method, path, body)
    if isinstance(answer, Outcome):
        return answer
    try:
        return str(answer["version"]), _percent(answer["target_percent"])
    except (KeyError, TypeError, ValueError):
        return failed("bad_answer", "The planner's answer cannot be read.", sent=True, retry=False)


async def _call(
    command: Command, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Mapping[str, Any] | Outcome:
    base = command.endpoint.url.rstrip("/") if command.endpoint else ""
    kind = (("Content-Type", "application/json"),) if body is not None else ()
    content = None if body is None else strict_json.dumps(dict(body))
    answer = await exchange(
        command, HttpRequest(method, f"{base}{path}", (("Accept", "application/json"), *kind), content)
    )
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
    return failed("bad_answer", "The planner's answer cannot be read.", sent=True, status=answer.status, retry=False)


def _percent(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError("a percent is a whole number from 0 to 100")
    return int(value)


def _name(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a version is text")
    return value
