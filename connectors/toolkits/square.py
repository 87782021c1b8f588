"""Square. What is cancelled or accepted already counts as done."""

from __future__ import annotations

from typing import Any

from connectors.base import Command, Outcome, completed
from connectors.toolkits.client import as_object, ask


async def void(command: Command) -> Outcome:
    payment = command.arguments["payment_id"]
    answer = await ask(command, "POST", f"/v2/payments/{payment}/cancel", body={})
    if isinstance(answer, Outcome) and await _is_there(command, f"/v2/payments/{payment}", "payment", "CANCELED"):
        answer = {}
    return _done(answer, {"payment_id": payment, "status": "voided"})


async def dispute(command: Command) -> Outcome:
    given = command.arguments["dispute_id"]
    answer = await ask(command, "POST", f"/v2/disputes/{given}/accept", body={})
    if isinstance(answer, Outcome) and await _is_there(command, f"/v2/disputes/{given}", "dispute", "ACCEPTED"):
        answer = {}
    return _done(answer, {"dispute_id": given, "status": "accepted"})


async def get_merchant(command: Command) -> Outcome:
    answer = await ask(command, "GET", "/v2/merchants/me")
    merchant = as_object(as_object(answer).get("merchant"))
    return _done(answer, {"id": merchant.get("id"), "status": "ok"})


async def _is_there(command: Command, path: str, name: str, state: str) -> bool:
    """Whether a refused change had been made before; asked only after the refusal."""
    found = await ask(command, "GET", path)
    if isinstance(found, Outcome):
        return False
    shown = as_object(as_object(found).get(name))
    return (shown.get("status") or shown.get("state")) == state


def _done(answer: Any, output: dict[str, Any]) -> Outcome:
    return answer if isinstance(answer, Outcome) else completed(output)
