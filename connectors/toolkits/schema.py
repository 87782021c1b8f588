"""What the actions of Stripe, Shopify, Okta and Square declare. The operation's name is ``<toolkit>.<action>``.

Sources: the vendors' references (Stripe API, Shopify Admin API 2025-01, Okta Core API, Square API).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from connectors.base import EffectClass, OperationSpec

#: time of one try
CALL_LIMIT: Final = timedelta(seconds=60)
#: how long Stripe remembers an Idempotency-Key
STRIPE_KEY: Final = timedelta(hours=24)

#: an id that becomes a segment of a path
_ID: Final = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"}
_USER: Final = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}$", "description": "Id or login."}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 500}
_RESULT: Final = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}


def _spec(
    toolkit: str,
    action: str,
    title: str,
    effect: EffectClass,
    properties: Mapping[str, Any],
    required: tuple[str, ...] = (),
    **more: Any,
) -> OperationSpec:
    return OperationSpec(
        name=f"{toolkit}.{action}",
        title=title,
        effect=effect,
        reference=f"act-{toolkit}-{action.replace('_', '-')}",
        connection_kind=toolkit,
        inputs={
            "type": "object",
            "properties": {"connection": {"type": "string"}, **properties},
            "required": list(required),
            "additionalProperties": False,
        },
        outputs=_RESULT,
        call_limit=CALL_LIMIT,
        probe=effect is EffectClass.PROBE,
        secret_fields=("token", "refresh_token"),
        toolkit=toolkit,
        **more,
    )


def _stripe(
    action: str, title: str, properties: Mapping[str, Any], required: tuple[str, ...], **more: Any
) -> OperationSpec:
    return _spec("stripe", action, title, EffectClass.KEYED, properties, required, key_valid_for=STRIPE_KEY, **more)


OPERATIONS: Final = (
    _stripe(
        "void_payment",
        "Cancel a payment",
        {"payment_id": _ID, "reason": {"enum": ["duplicate", "fraudulent", "requested_by_customer", "abandoned"]}},
        ("payment_id",),
        destructive=True,
    ),
    _stripe(
        "refund",
        "Refund a payment",
        {
            "payment_id": _ID,
            "amount": {"type": "integer", "minimum": 1, "description": "In the smallest unit; all unless given."},
            "reason": {"enum": ["duplicate", "fraudulent", "requested_by_customer"]},
        },
        ("payment_id",),
        destructive=True,
    ),
    _stripe("review", "Approve a review", {"review_id": _ID}, ("review_id",)),
    _stripe(
        "dispute",
        "Answer a dispute",
        {
            "dispute_id": _ID,
            "evidence": {"type": "object", "maxProperties": 30, "additionalProperties": _TEXT},
            "submit": {"type": "boolean", "default": False},
        },
        ("dispute_id",),
    ),
    _spec("stripe", "get_account", "Show the account", EffectClass.READ, {}),
    _spec(
        "shopify",
        "cancel_order",
        "Cancel an order",
        EffectClass.PROBE,
        {
            "order_id": {"type": ["string", "integer"], "pattern": r"^[0-9]{1,20}$"},
            "reason": {"enum": ["customer", "fraud", "inventory", "declined", "other"]},
        },
        ("order_id",),
        destructive=True,
    ),
    _spec(
        "shopify",
        "tag",
        "Add tags to an order",
        EffectClass.IDEMPOTENT,
        {
            "order_id": {"type": ["string", "integer"], "pattern": r"^[0-9]{1,20}$"},
            "tags": {
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {"type": "string", "pattern": r"^[^,\r\n]{1,255}$"},
            },
        },
        ("order_id", "tags"),
    ),
    _spec("shopify", "get_shop_info", "Show the shop", EffectClass.READ, {}),
    _spec(
        "okta",
        "force_mfa",
        "Reset a user's factors",
        EffectClass.PROBE,
        {"user_id": _USER},
        ("user_id",),
        destructive=True,
    ),
    _spec(
        "okta", "suspend_user", "Suspend a user", EffectClass.PROBE, {"user_id": _USER}, ("user_id",), destructive=True
    ),
    _spec("okta", "get_user", "Show a user", EffectClass.READ, {"user_id": _USER}, ("user_id",)),
    _spec(
        "square",
        "void",
        "Cancel a payment",
        EffectClass.IDEMPOTENT,
        {"payment_id": _ID},
        ("payment_id",),
        destructive=True,
    ),
    _spec("square", "dispute", "Accept a dispute", EffectClass.IDEMPOTENT, {"dispute_id": _ID}, ("dispute_id",)),
    _spec("square", "get_merchant", "Show the merchant", EffectClass.READ, {}),
)

KINDS: Final = ("stripe", "shopify", "okta", "square")
