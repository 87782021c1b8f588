"""Stripe. Every write carries our key as its Idempotency-Key."""

from __future__ import annotations

from typing import Any

from connectors.base import Command, Outcome, completed
from connectors.toolkits.client import as_object, ask


async def void_payment(command: Command) -> Outcome:
    payment = command.arguments["payment_id"]
    reason = command.arguments.get("reason")
    form = [("cancellation_reason", reason)] if reason else []
    answer = await ask(command, "POST", f"/v1/payment_intents/{payment}/cancel", form=form)
    return _done(answer, {"payment_id": payment, "status": "voided"})


async def refund(command: Command) -> Outcome:
    payment = command.arguments["payment_id"]
    form = [("payment_intent", payment)]
    form += [(name, str(command.arguments[name])) for name in ("amount", "reason") if name in command.arguments]
    answer = await ask(command, "POST", "/v1/refunds", form=form)
    found = as_object(answer)
    return _done(
        answer, {"payment_id": payment, "refund_id": _text(found.get("id")), "status": _text(found.get("status"))}
    )


async def review(command: Command) -> Outcome:
    given = command.arguments["review_id"]
    answer = await ask(command, "POST", f"/v1/reviews/{given}/approve", form=[])
    return _done(answer, {"review_id": given, "status": "approved"})


async def dispute(command: Command) -> Outcome:
    given = command.arguments["dispute_id"]
    evidence = command.arguments.get("evidence") or {}
    form = [(f"evidence[{name}]", text) for name, text in evidence.items()]
    form.append(("submit", "true" if command.arguments.get("submit") else "false"))
    answer = await ask(command, "POST", f"/v1/disputes/{given}", form=form)
    return _done(answer, {"dispute_id": given, "status": _text(as_object(answer).get("status"))})


async def get_account(command: Command) -> Outcome:
    answer = await ask(command, "GET", "/v1/account")
    found = as_object(answer)
    shown = {name: found.get(name) for name in ("id", "country", "charges_enabled", "payouts_enabled")}
    return _done(answer, {**shown, "status": "ok"})


def _done(answer: Any, output: dict[str, Any]) -> Outcome:
    return answer if isinstance(answer, Outcome) else completed(output)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
