"""The actions of Stripe, Shopify, Okta and Square against stand-ins: what is sent, and what is given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest

from connectors.base import OutcomeKind, ProbeAnswer
from connectors.dispatch import Call, plan, probe
from tests.connectors.calls import Connect, Run
from tests.connectors.servers import Received, Reply, Server, json_reply, serving

TOKEN = "vendors-access-token-0001"
ORDER = "/admin/api/2025-01/orders/7"


@pytest.fixture
def vendor() -> Iterator[Server]:
    """Answers 200 and an object; other answers are queued."""

    def answer(received: Received) -> Reply:
        return json_reply({"id": "x", "status": "done", "order": {"id": 7, "tags": "old, vip", "cancelled_at": None}})

    with serving(answer) as server:
        yield server


def call(operation: str, **arguments: Any) -> Call:
    return Call(key=str(uuid4()), operation=operation, arguments=arguments)


@pytest.mark.parametrize(
    ("operation", "arguments", "line", "sent", "output"),
    [
        (
            "stripe.void_payment",
            {"payment_id": "pi_1", "reason": "fraudulent"},
            "POST /v1/payment_intents/pi_1/cancel",
            {"cancellation_reason": "fraudulent"},
            {"payment_id": "pi_1", "status": "voided"},
        ),
        (
            "stripe.refund",
            {"payment_id": "pi_1", "amount": 5},
            "POST /v1/refunds",
            {"payment_intent": "pi_1", "amount": "5"},
            {"payment_id": "pi_1", "refund_id": "x", "status": "done"},
        ),
        (
            "stripe.review",
            {"review_id": "prv_1"},
            "POST /v1/reviews/prv_1/approve",
            {},
            {"review_id": "prv_1", "status": "approved"},
        ),
        (
            "stripe.dispute",
            {"dispute_id": "dp_1", "evidence": {"note": "a&b"}, "submit": True},
            "POST /v1/disputes/dp_1",
            {"evidence[note]": "a&b", "submit": "true"},
            {"dispute_id": "dp_1", "status": "done"},
        ),
        (
            "shopify.cancel_order",
            {"order_id": 7},
            f"POST {ORDER}/cancel.json",
            {},
            {"order_id": 7, "status": "cancelled"},
        ),
        (
            "okta.suspend_user",
            {"user_id": "a@b.c"},
            "POST /api/v1/users/a%40b.c/lifecycle/suspend",
            None,
            {"user_id": "a@b.c", "status": "suspended"},
        ),
        (
            "okta.force_mfa",
            {"user_id": "u1"},
            "POST /api/v1/users/u1/lifecycle/reset_factors",
            None,
            {"user_id": "u1", "status": "mfa_reset"},
        ),
        (
            "square.void",
            {"payment_id": "p1"},
            "POST /v2/payments/p1/cancel",
            {},
            {"payment_id": "p1", "status": "voided"},
        ),
        (
            "square.dispute",
            {"dispute_id": "d1"},
            "POST /v2/disputes/d1/accept",
            {},
            {"dispute_id": "d1", "status": "accepted"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_an_action_is_the_vendors_call(
    vendor: Server, connect: Connect, run: Run, operation: str, arguments: Any, line: str, sent: Any, output: Any
) -> None:
    connect(operation.partition(".")[0], "vendor", vendor.url, secrets={"token": TOKEN})
    asked = call(operation, **arguments)

    outcome = run(asked).outcome

    assert (outcome.kind, outcome.output) == (OutcomeKind.COMPLETED, output)
    (received,) = vendor.requests
    assert f"{received.method} {received.target}" == line
    if sent is not None and received.headers["content-type"].endswith("urlencoded"):
        assert {name: values[0] for name, values in parse_qs(received.body.decode()).items()} == sent
    elif sent is not None:
        assert received.json == sent
    is_stripe, is_shopify = operation.startswith("stripe"), operation.startswith("shopify")
    assert received.headers.get("idempotency-key") == (asked.key if is_stripe else None)
    name = "x-shopify-access-token" if is_shopify else "authorization"
    assert received.headers[name] == (TOKEN if is_shopify else f"Bearer {TOKEN}")


def test_tags_are_added_to_those_that_are_there(vendor: Server, connect: Connect, run: Run) -> None:
    connect("shopify", "shop", vendor.url, secrets={"token": TOKEN})

    outcome = run(call("shopify.tag", order_id="7", tags=["vip", "fraud"])).outcome

    assert outcome.output == {"order_id": "7", "tags": ["old", "vip", "fraud"], "status": "tagged"}
    assert vendor.requests[-1].json == {"order": {"id": 7, "tags": "old, vip, fraud"}}


def test_what_square_has_cancelled_before_counts_as_done(vendor: Server, connect: Connect, run: Run) -> None:
    connect("square", "square", vendor.url, secrets={"token": TOKEN})
    vendor.answers.append(json_reply({"errors": [{"detail": "already"}]}, 400))
    vendor.answers.append(json_reply({"payment": {"status": "CANCELED"}}))

    assert run(call("square.void", payment_id="p1")).outcome.kind is OutcomeKind.COMPLETED

    vendor.answers.append(json_reply({"errors": [{"detail": "captured"}]}, 400))
    vendor.answers.append(json_reply({"payment": {"status": "COMPLETED"}}))
    refused = run(call("square.void", payment_id="p1")).outcome
    assert refused.kind is OutcomeKind.FAILED
    assert "captured" in refused.message


@pytest.mark.parametrize(
    ("operation", "arguments", "there", "not_there"),
    [
        ("okta.suspend_user", {"user_id": "u1"}, {"status": "SUSPENDED"}, {"status": "ACTIVE"}),
        ("okta.force_mfa", {"user_id": "u1"}, [], [{"id": "f1"}]),
        ("shopify.cancel_order", {"order_id": 7}, {"order": {"cancelled_at": "2026-01-01"}}, {"order": {"id": 7}}),
    ],
)
def test_whether_it_took_place_is_read_back(
    vendor: Server, connect: Connect, tenant: Any, operation: str, arguments: Any, there: Any, not_there: Any
) -> None:
    from datetime import timedelta

    connect(operation.partition(".")[0], "vendor", vendor.url, secrets={"token": TOKEN})
    planned = plan(tenant_id=tenant.id, calls=[call(operation, **arguments)])
    limits: Any = {"fence": 2, "headers": {}, "since": timedelta(minutes=5), "time_limit": timedelta(seconds=5)}

    for reply, expected in [
        (json_reply(there), ProbeAnswer.THERE),
        (json_reply(not_there), ProbeAnswer.NOT_THERE),
        (json_reply({}, 503), ProbeAnswer.CANNOT_TELL),
    ]:
        vendor.answers.append(reply)
        assert probe(planned, **limits)[0] is expected
    assert {received.method for received in vendor.requests} == {"GET"}


def test_a_failing_vendor_does_not_open_the_breaker_of_its_connection(
    vendor: Server, connect: Connect, run: Run
) -> None:
    from executions.breakers import answered_by

    connect("stripe", "stripe", vendor.url, secrets={"token": TOKEN})
    vendor.answers.append(json_reply({"error": {"message": "later"}}, 503))
    result = run(call("stripe.get_account"))

    assert (result.outcome.code, result.outcome.kind) == ("action_failed", OutcomeKind.FAILED)
    assert answered_by(result.calls[0]) is True
    connect("stripe", "stripe", "http://127.0.0.1:1", secrets={"token": TOKEN})
    assert answered_by(run(call("stripe.get_account")).calls[0]) is None


def test_a_path_cannot_be_left_by_an_id(vendor: Server, connect: Connect, run: Run) -> None:
    connect("stripe", "stripe", vendor.url, secrets={"token": TOKEN})

    for hostile in ("../accounts", "pi/1", "pi?x=1", "", "pi\n"):
        assert run(call("stripe.void_payment", payment_id=hostile)).outcome.code == "argument_invalid"
    assert vendor.requests == []
