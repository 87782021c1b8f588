"""Carries out the actions of Stripe, Shopify, Okta and Square, each by the function of its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from connectors.base import Command, Outcome, ProbeAnswer
from connectors.toolkits import okta, shopify, square, stripe

_Action = Callable[[Command], Awaitable[Outcome]]
_Probe = Callable[[Command], Awaitable[tuple[ProbeAnswer, Outcome | None]]]

_ACTIONS: Final[Mapping[str, _Action]] = {
    "stripe.void_payment": stripe.void_payment,
    "stripe.refund": stripe.refund,
    "stripe.review": stripe.review,
    "stripe.dispute": stripe.dispute,
    "stripe.get_account": stripe.get_account,
    "shopify.cancel_order": shopify.cancel_order,
    "shopify.tag": shopify.tag,
    "shopify.get_shop_info": shopify.get_shop_info,
    "okta.force_mfa": okta.force_mfa,
    "okta.suspend_user": okta.suspend_user,
    "okta.get_user": okta.get_user,
    "square.void": square.void,
    "square.dispute": square.dispute,
    "square.get_merchant": square.get_merchant,
}
_PROBES: Final[Mapping[str, _Probe]] = {
    "shopify.cancel_order": shopify.is_cancelled,
    "okta.suspend_user": okta.is_suspended,
    "okta.force_mfa": okta.has_no_factors,
}


class ToolkitConnector:
    async def run(self, command: Command) -> Outcome:
        return await _ACTIONS[command.operation](command)

    async def probe(self, command: Command) -> tuple[ProbeAnswer, Outcome | None]:
        """Whether the wanted state is there, whoever brought it about."""
        return await _PROBES[command.operation](command)
