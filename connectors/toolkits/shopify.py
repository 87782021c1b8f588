"""Shopify's Admin API. The token stands in a header of its own."""

from __future__ import annotations

from typing import Any, Final

from connectors.base import Command, Outcome, ProbeAnswer, completed
from connectors.toolkits.client import as_object, ask

_API: Final = "/admin/api/2025-01"
_HEADER: Final = "X-Shopify-Access-Token"


async def cancel_order(command: Command) -> Outcome:
    order = command.arguments["order_id"]
    reason = command.arguments.get("reason")
    body = {"reason": reason} if reason else {}
    answer = await _ask(command, "POST", f"/orders/{order}/cancel.json", body=body)
    return answer if isinstance(answer, Outcome) else _cancelled(order)


async def is_cancelled(command: Command) -> tuple[ProbeAnswer, Outcome | None]:
    """Read the order back."""
    order = command.arguments["order_id"]
    answer = await _ask(command, "GET", f"/orders/{order}.json")
    found = as_object(as_object(answer).get("order"))
    if isinstance(answer, Outcome) or not found:
        return ProbeAnswer.CANNOT_TELL, None
    if found.get("cancelled_at"):
        return ProbeAnswer.THERE, _cancelled(order)
    return ProbeAnswer.NOT_THERE, None


async def tag(command: Command) -> Outcome:
    """Write the tags that are there and the new ones: the same end state however often."""
    order = command.arguments["order_id"]
    before = await _ask(command, "GET", f"/orders/{order}.json")
    if isinstance(before, Outcome):
        return before
    stored = str(as_object(as_object(before).get("order")).get("tags") or "")
    tags = list(
        dict.fromkeys([*(part.strip() for part in stored.split(",") if part.strip()), *command.arguments["tags"]])
    )
    body = {"order": {"id": int(order), "tags": ", ".join(tags)}}
    answer = await _ask(command, "PUT", f"/orders/{order}.json", body=body)
    return answer if isinstance(answer, Outcome) else completed({"order_id": order, "tags": tags, "status": "tagged"})


async def get_shop_info(command: Command) -> Outcome:
    answer = await _ask(command, "GET", "/shop.json")
    if isinstance(answer, Outcome):
        return answer
    shop = as_object(as_object(answer).get("shop"))
    return completed({**{name: shop.get(name) for name in ("id", "name", "domain", "currency")}, "status": "ok"})


def _cancelled(order: Any) -> Outcome:
    return completed({"order_id": order, "status": "cancelled"})


async def _ask(command: Command, method: str, path: str, *, body: Any = None) -> Any:
    return await ask(command, method, f"{_API}{path}", body=body, auth_header=_HEADER)
