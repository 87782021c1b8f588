"""POST /api/composio/soar-action"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from api.olorin import ids
from connectors.models import Connection
from connectors.toolkit_models import SoarSettings, ToolkitBreaker, ToolkitCall
from executions.models import Execution
from tests.api.olorin.calls import Json, action, canonical, read, refused, send_action, signature, signed
from tests.api.olorin.test_get_execution import shown
from tests.api.olorin.vendors import REFRESH, RENEWED, TOKEN, Vendors
from tests.api.s4e.calls import Api, approval
from tests.connectors.servers import Server, json_reply

pytestmark = pytest.mark.usefixtures("worker")

Connect = Callable[..., Connection]


def compact(given: Json) -> bytes:
    return json.dumps(given, separators=(",", ":")).encode()


def last() -> ToolkitCall:
    return ToolkitCall.objects.order_by("requested_at", "id").last() or pytest.fail("there is no audit row")


def ran(tenant: Tenant) -> int:
    """How many one-step executions were started."""
    return Execution.objects.filter(tenant=tenant, options__has_key="parent_execution").count()


def test_olo_031_a_signed_action_is_carried_out(running: str, stripe: Connection, far: Vendors, api: Api) -> None:
    told = read(send_action(signed(action(execution_id=running))))

    assert told.pop("executed_at").endswith("Z")
    assert told == {
        "action_id": "act_001", "status": "success", "result": {"payment_id": "pi_123456", "status": "voided"},
    }  # fmt: skip
    assert far.done == ["POST /v1/payment_intents/pi_123456/cancel"]
    (listed,) = shown(api, running)["actions_executed"]
    assert (listed["action_id"], listed["action_name"], listed["status"]) == ("act_001", "void_payment", "success")


@pytest.mark.parametrize("name", ["stripe_void_payment", "void_payment"])
def test_the_toolkits_name_may_stand_before_the_action(running: str, stripe: Connection, name: str) -> None:
    assert read(send_action(signed(action(execution_id=running, action=name))))["action_id"] == "act_001"


@pytest.mark.parametrize(
    "given",
    [
        "sha256=" + "0" * 64,
        "",
        "sha256=",
        "sha256=" + "a" * 63,
        "sha256=" + "a" * 65,
        "sha1=" + "a" * 40,
    ],
)
def test_olo_033_a_wrong_signature_is_refused_and_noted(
    running: str, stripe: Connection, far: Vendors, tenant: Tenant, given: str
) -> None:
    answer = send_action({**action(execution_id=running), "soar_signature": given})

    refused(answer, 401)
    assert answer["WWW-Authenticate"]
    assert far.done == []
    assert ran(tenant) == 0
    row = last()
    assert (row.status, row.tenant_id, row.execution_ref, row.parameters) == ("refused", tenant.pk, running, {})


def test_olo_033_every_reason_has_the_same_answer(running: str, stripe: Connection, tenant: Tenant) -> None:
    given = action(execution_id=running)
    good = signature(canonical(given))
    answers = [
        send_action({**given, "soar_signature": f"sha256={good[7:].upper()}"}),
        send_action({**given, "soar_signature": f"{good[:20]} {good[20:]}"}),
        send_action(signed(given, "another-secret")),
        send_action(signed(action(execution_id=running, tenant_id="tenant_of_nobody"))),
        send_action({**signed(given), "toolkit": "okta", "action": "get_user"}),
    ]

    assert len({answer.content for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {401}


def test_olo_034_without_a_signature_nothing_is_done(running: str, stripe: Connection, far: Vendors) -> None:
    refused(send_action(action(execution_id=running)), 401)
    assert far.done == []


def test_olo_035_the_bodys_signature_has_its_prefix(running: str, stripe: Connection) -> None:
    given = action(execution_id=running)

    refused(send_action({**given, "soar_signature": signature(canonical(given)).removeprefix("sha256=")}), 401)


@pytest.mark.parametrize("name", ["execution_id", "toolkit", "action", "tenant_id", "parameters"])
@pytest.mark.parametrize("value", [None, 7, [], ""], ids=repr)
def test_olo_037_fields_are_required_and_have_their_type(running: str, name: str, value: object) -> None:
    given: Json = action(execution_id=running) | {name: value}
    if value is None:
        del given[name]

    refused(send_action(signed(given)), 400, name)


def test_olo_037_a_signature_is_text(running: str) -> None:
    wrong: tuple[object, ...] = (7, None, [])
    for given in wrong:
        refused(send_action({**action(execution_id=running), "soar_signature": given}), 400, "soar_signature")


@pytest.mark.parametrize(
    "octets", [b"{", b"[]", b"7", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\xff"}', b"[" * 1000 + b"]" * 1000]
)
def test_olo_038_what_is_no_json_object_is_refused(running: str, octets: bytes) -> None:
    refused(send_action(octets, X_SOAR_Signature=signature(octets)), 400)


@pytest.mark.parametrize(
    "changes",
    [{"toolkit": "nope"}, {"action": "nope"}, {"action": "okta_get_user"}, {"toolkit": "Stripe"}, {"action": "check"}],
    ids=repr,
)
def test_unknown_toolkits_and_actions_are_refused(running: str, changes: Json) -> None:
    refused(send_action(signed(action(execution_id=running, **changes))), 400, next(iter(changes)))


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({}, "parameters"),
        ({"payment_id": 7}, "parameters.payment_id"),
        ({"payment_id": "../x"}, "parameters.payment_id"),
        ({"payment_id": "pi_1", "extra": 1}, "parameters"),
        ({"payment_id": "pi_1", "connection": "stripe"}, "parameters.connection"),
    ],
    ids=repr,
)
def test_parameters_are_those_of_the_action(
    running: str, stripe: Connection, far: Vendors, parameters: Json, word: str
) -> None:
    refused(send_action(signed(action(execution_id=running, parameters=parameters))), 400, word)
    assert far.done == []
    assert last().status == "refused"


def test_a_value_that_looks_like_a_template_stays_text(
    running: str, tenant: Tenant, connect: Connect, server: Server
) -> None:
    connect(tenant, "slack")
    given = action(
        execution_id=running, toolkit="slack", action="notify",
        parameters={"channel": "#fraud-ops", "message": "{{ context.entity_id }} {{ broken"},
    )  # fmt: skip
    read(send_action(signed(given)))

    (posted,) = [each.json for each in server.requests]
    assert posted["text"] == "{{ context.entity_id }} {{ broken"


def test_olo_039_a_missing_connection_is_not_found(
    running: str, stripe: Connection, far: Vendors, tenant: Tenant
) -> None:
    given = action(execution_id=running, toolkit="shopify", action="cancel_order", parameters={"order_id": "7"})

    refused(send_action(signed(given)), 404, "connection")
    assert ran(tenant) == 0
    assert (last().status, last().parameters) == ("refused", {"order_id": "7"})


@pytest.mark.parametrize("state", ["revoked", "expired", "over"])
def test_a_connection_that_is_not_active_is_missing(running: str, stripe: Connection, state: str) -> None:
    changes: Json = {"expires_at": timezone.now() - timedelta(seconds=1)} if state == "over" else {"status": state}
    Connection.objects.update(**changes)

    refused(send_action(signed(action(execution_id=running))), 404, "connection")


def _renewable(tenant: Tenant, connect: Connect, server: Server, *, expires_in: float) -> Connection:
    from connectors.connecting import save_app

    made = connect(tenant, "stripe", secrets={"token": TOKEN, "refresh_token": REFRESH})
    save_app(
        tenant=tenant, toolkit="stripe", client_id="c", client_secret="s" * 20, authorize_url=f"{server.url}/authorize",
        token_url=f"{server.url}/oauth/token", api_url=server.url,
    )  # fmt: skip
    Connection.objects.update(expires_at=timezone.now() + timedelta(seconds=expires_in))
    return made


def test_olo_041_a_token_that_is_over_is_refreshed_first(
    running: str, tenant: Tenant, connect: Connect, server: Server, far: Vendors
) -> None:
    made = _renewable(tenant, connect, server, expires_in=-1)
    far.tokens.clear()

    read(send_action(signed(action(execution_id=running))))

    made.refresh_from_db()
    assert made.expires_at is not None
    assert made.expires_at > timezone.now() + timedelta(minutes=50)
    assert [grant["grant_type"] for grant in far.grants] == ["refresh_token"]
    assert last().retry_count == 0


def test_a_token_that_is_refused_is_refreshed_once_and_tried_once_more(
    running: str, tenant: Tenant, connect: Connect, server: Server, far: Vendors
) -> None:
    made = _renewable(tenant, connect, server, expires_in=600)
    far.tokens.clear()

    read(send_action(signed(action(execution_id=running))))

    assert len(far.grants) == 1
    assert (last().status, last().retry_count) == ("success", 1)
    made.refresh_from_db()
    assert made.status == "active"


def test_a_refusal_without_a_refresh_token_ends_the_action_and_expires_the_connection(
    running: str, stripe: Connection, server: Server, far: Vendors, api: Api
) -> None:
    far.tokens.clear()

    refused(send_action(signed(action(execution_id=running))), 500, "stripe")

    stripe.refresh_from_db()
    assert stripe.status == "expired"
    assert len(server.requests) == 1
    assert (last().status, last().retry_count) == ("failed", 0)
    assert [each["status"] for each in shown(api, running)["actions_executed"]] == ["failed"]


def test_olo_042_an_action_is_tried_four_times(
    running: str, stripe: Connection, server: Server, far: Vendors, api: Api
) -> None:
    far.failing = 99

    refused(send_action(signed(action(execution_id=running))), 500, "out of order")

    assert len(server.requests) == 4
    assert len({each.headers["idempotency-key"] for each in server.requests}) == 1
    assert (last().status, last().retry_count, last().action_id) == ("failed", 3, "act_001")
    (listed,) = shown(api, running)["actions_executed"]
    assert (listed["status"], listed["action_id"]) == ("failed", "act_001")
    assert "out of order" in listed["error_message"]


def test_olo_043_an_action_that_fails_twice_may_still_succeed(
    running: str, stripe: Connection, server: Server, far: Vendors
) -> None:
    far.failing = 2

    assert read(send_action(signed(action(execution_id=running))))["status"] == "success"
    assert len(server.requests) == 3
    assert (last().status, last().retry_count) == ("success", 2)


def test_what_a_vendor_asks_to_wait_for_is_waited_for(
    running: str, stripe: Connection, server: Server, far: Vendors
) -> None:
    server.answers.append(json_reply({}, 429, **{"Retry-After": "1"}))
    began = time.monotonic()

    read(send_action(signed(action(execution_id=running))))
    assert time.monotonic() - began >= 1
    assert last().retry_count == 1


def test_olo_045_046_an_execution_that_is_not_the_tenants_is_not_found(
    running: str, stripe: Connection, stranger: Api, far: Vendors, tenant: Tenant
) -> None:
    from tests.api.olorin.calls import EXECUTE, body

    stranger.made(name="Fraud response critical", steps=[approval("ask")])
    theirs = read(stranger.post(EXECUTE, body(tenant_id="tenant_999")), 202)["execution_id"]
    answers = [send_action(signed(action(execution_id=each))) for each in (theirs, "exec_unknown", "pexec-1")]

    assert len({refused(answer, 404) for answer in answers}) == 1
    assert far.done == []
    assert ran(tenant) == 0


@pytest.mark.parametrize("end", ["cancel", "complete"])
def test_olo_047_nothing_is_done_for_an_execution_that_has_ended(
    running: str, stripe: Connection, api: Api, far: Vendors, finish: Callable[[str], Execution], end: str
) -> None:
    finish(running)
    path = f"/api/playbooks/executions/pexec-{ids.execution_number(running)}"
    ended = api.post(f"{path}/cancel") if end == "cancel" else api.post(f"{path}/steps/ask/approve")
    assert ended.status_code == 200
    finish(running)

    refused(send_action(signed(action(execution_id=running))), 409)
    assert far.done == []
    assert last().status == "refused"


def test_a_repeat_has_the_stored_result_until_the_execution_ends(
    running: str, stripe: Connection, server: Server, api: Api
) -> None:
    given = signed(action(execution_id=running))
    first = read(send_action(given))

    assert read(send_action(given)) == first
    assert read(send_action(signed(action(execution_id=running, action="stripe_void_payment")))) == first
    assert len(server.requests) == 1
    assert ToolkitCall.objects.count() == 1
    other = read(send_action(signed(action(execution_id=running, parameters={"payment_id": "pi_2"}))))
    assert other["action_id"] == "act_002"
    api.post(f"/api/playbooks/executions/pexec-{ids.execution_number(running)}/cancel")
    refused(send_action(given), 409)


def test_an_action_that_was_not_done_may_be_asked_for_again(running: str, stripe: Connection, server: Server) -> None:
    given = signed(action(execution_id=running))
    server.answers.append(json_reply({"error": {"message": "No such payment"}}, 404))

    refused(send_action(given), 500, "No such payment")
    assert (len(server.requests), last().status, last().retry_count) == (1, "failed", 0)
    assert read(send_action(given))["action_id"] == "act_002"


def test_an_action_that_may_have_been_done_waits_for_a_persons_word(
    running: str, stripe: Connection, server: Server, far: Vendors, api: Api
) -> None:
    given = signed(action(execution_id=running))
    far.failing = 4
    refused(send_action(given), 500, "person")
    refused(send_action(given), 500, "person")
    assert len(server.requests) == 4

    (review,) = json.loads(api.get("/api/native/reviews").content)["items"]
    said = {"resolution": "give_up", "reason": "Looked it up: nothing was cancelled."}
    assert api.post(f"/api/native/reviews/{review['id']}/resolve", said).status_code == 200
    assert read(send_action(given))["status"] == "success"


def test_olo_049_what_is_changed_after_signing_is_refused(running: str, stripe: Connection, far: Vendors) -> None:
    given = signed(action(execution_id=running)) | {"parameters": {"payment_id": "pi_other"}}

    refused(send_action(given), 401)
    assert far.done == []


def test_olo_050_all_three_forms_are_good(running: str, stripe: Connection) -> None:
    given = action(execution_id=running)
    spaced = {**given, "soar_signature": signature(json.dumps(given, sort_keys=True).encode())}
    octets = compact(given)

    assert send_action(spaced).status_code == 200
    assert send_action(octets, X_SOAR_Signature=signature(octets)).status_code == 200
    assert send_action(octets, X_SOAR_Signature=signature(octets).removeprefix("sha256=")).status_code == 200
    refused(send_action(octets + b" ", X_SOAR_Signature=signature(octets)), 401)


def test_numbers_are_signed_as_they_stand_and_text_in_every_alphabet(
    running: str, tenant: Tenant, connect: Connect
) -> None:
    connect(tenant, "slack")
    text = (
        '{"action":"notify","execution_id":"%s","parameters":{"channel":"#x","message":{"n":1e2,"é\U0001f600":1.10}},'
        '"tenant_id":"tenant_123","toolkit":"slack"}'
    )
    octets = (text % running).encode()
    given = octets[:-1] + f',"soar_signature":"{signature(octets)}"}}'.encode()

    assert send_action(given).status_code == 200


def test_olo_051_a_toolkit_that_fails_five_times_in_a_row_is_left_alone(
    running: str, stripe: Connection, okta: Connection, server: Server, far: Vendors, settings: Any
) -> None:
    def send(number: int) -> Any:
        return send_action(signed(action(execution_id=running, parameters={"payment_id": f"pi_{number}"})))

    far.failing = 20
    for number in range(5):
        refused(send(number), 500, "out of order")
    assert len(server.requests) == 20

    refused(send(5), 500, "circuit open")
    assert len(server.requests) == 20
    assert last().status == "refused"
    okta_says = action(execution_id=running, toolkit="okta", action="get_user", parameters={"user_id": "u1"})
    assert send_action(signed(okta_says)).status_code == 200

    ToolkitBreaker.objects.update(next_at=timezone.now())
    assert send(6).status_code == 200
    assert send(7).status_code == 200
    assert ToolkitBreaker.objects.get(toolkit="stripe").failures == 0


def test_olo_051_half_open_lets_one_action_try(running: str, stripe: Connection, server: Server, far: Vendors) -> None:
    from connectors import toolkit_breakers

    tenant_id = stripe.tenant_id
    for _ in range(5):
        toolkit_breakers.note_failure(tenant_id, "stripe")
    assert not toolkit_breakers.take_turn(tenant_id, "stripe")
    assert toolkit_breakers.take_turn(tenant_id, "okta")
    ToolkitBreaker.objects.update(next_at=timezone.now())
    assert [toolkit_breakers.take_turn(tenant_id, "stripe") for _ in range(2)] == [True, False]

    ToolkitBreaker.objects.update(next_at=timezone.now())
    far.failing = 4
    refused(send_action(signed(action(execution_id=running))), 500)
    assert len(server.requests) == 4
    other = action(execution_id=running, parameters={"payment_id": "pi_2"})
    refused(send_action(signed(other)), 500, "circuit open")


def test_olo_053_every_action_has_one_audit_row(running: str, stripe: Connection, tenant: Tenant, caplog: Any) -> None:
    given = {"dispute_id": "dp_1", "evidence": {"access_token": "hidden-away", "note": "seen"}}
    read(send_action(signed(action(execution_id=running, action="dispute", parameters=given))))

    row = ToolkitCall.objects.get()
    assert (row.action_id, row.execution_ref, row.toolkit_name, row.action_name) == (
        "act_001",
        running,
        "stripe",
        "dispute",
    )
    assert (row.tenant_id, row.connection_id, row.status, row.retry_count) == (tenant.pk, stripe.pk, "success", 0)
    assert row.parameters == {"dispute_id": "dp_1", "evidence": {"access_token": "********", "note": "seen"}}
    assert row.result == {"dispute_id": "dp_1", "status": "ok"}
    assert row.executed_at
    assert row.error_message == ""
    assert "composio_action_execution" in caplog.messages
    assert "hidden-away" not in caplog.text
    assert TOKEN not in caplog.text + str(row.result) + str(row.parameters)
    stripe.refresh_from_db()
    assert stripe.last_used_at


def test_of_several_connections_the_last_used_one_is_taken(
    running: str, stripe: Connection, tenant: Tenant, connect: Connect
) -> None:
    second = connect(tenant, "stripe", name="stripe two")
    Connection.objects.filter(pk=second.pk).update(last_used_at=timezone.now())

    read(send_action(signed(action(execution_id=running))))
    assert last().connection_id == second.pk


def test_olo_070_a_time_is_signed_with_the_raw_form(running: str, stripe: Connection) -> None:
    octets = compact(action(execution_id=running))

    def send(at: str) -> Any:
        return send_action(octets, X_SOAR_Timestamp=at, X_SOAR_Signature=signature(at.encode() + b"." + octets))

    now = int(time.time())
    assert send(str(now)).status_code == 200
    for at in (now - 301, now + 330, "text", -1, "9" * 20, f"{now}.0"):
        refused(send(str(at)), 401)
    refused(send_action(octets, X_SOAR_Timestamp=str(now), X_SOAR_Signature=signature(octets)), 401)


def test_a_tenant_may_require_the_time(running: str, stripe: Connection, tenant: Tenant) -> None:
    SoarSettings.objects.create(tenant=tenant, require_timestamp=True)
    given, now = action(execution_id=running), str(int(time.time()))
    octets = compact(given)

    refused(send_action(signed(given)), 401)
    refused(send_action(signed(given), X_SOAR_Timestamp=now), 401)
    refused(send_action(octets, X_SOAR_Signature=signature(octets)), 401)
    covered = signature(now.encode() + b"." + octets)
    assert send_action(octets, X_SOAR_Timestamp=now, X_SOAR_Signature=covered).status_code == 200


def test_olo_071_header_and_body_say_the_same(running: str, stripe: Connection) -> None:
    given = signed(action(execution_id=running))
    hexadecimal = given["soar_signature"].removeprefix("sha256=")

    refused(send_action(given, X_SOAR_Signature="0" * 64), 401)
    refused(send_action(given, X_SOAR_Signature=f"sha256={hexadecimal},sha256={hexadecimal}"), 401)
    assert send_action(given, X_SOAR_Signature=hexadecimal).status_code == 200


def test_a_tenant_signs_with_its_own_secret_and_for_a_while_with_the_one_before(
    running: str, stripe: Connection, tenant: Tenant
) -> None:
    from connectors.signing_secrets import set_signing_secret

    given, first, second = action(execution_id=running), "first-" * 8, "second-" * 8
    set_signing_secret(tenant=tenant, secret=first, now=timezone.now())
    refused(send_action(signed(given)), 401)
    assert send_action(signed(given, first)).status_code == 200
    set_signing_secret(tenant=tenant, secret=second, now=timezone.now())
    assert send_action(signed(given, second)).status_code == 200
    assert send_action(signed(given, first)).status_code == 200
    SoarSettings.objects.update(old_secret_until=timezone.now())
    refused(send_action(signed(given, first)), 401)


def test_without_any_secret_nobody_can_sign(running: str, stripe: Connection, settings: Any) -> None:
    settings.SOAR_WEBHOOK_SECRET = ""

    refused(send_action(signed(action(execution_id=running), "")), 401)
    refused(send_action(signed(action(execution_id=running), "no tenant signs with this one")), 401)


def test_a_bearer_beside_the_signature_is_good_and_of_the_tenant(
    running: str, stripe: Connection, api: Api, stranger: Api
) -> None:
    given = signed(action(execution_id=running))

    refused(send_action(given, Authorization="Bearer nonsense"), 401)
    refused(send_action(given, Authorization=f"Bearer {stranger.key}"), 401)
    assert send_action(given, Authorization=f"Bearer {api.key}").status_code == 200


def test_the_101st_signed_action_in_a_minute_is_refused(running: str, stripe: Connection) -> None:
    given = signed(action(execution_id=running))
    refused(send_action(action(execution_id=running)), 401)  # does not count: anybody can send it
    answers = [send_action(given) for _ in range(101)]

    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert answers[0]["X-RateLimit-Limit"] == "100"
    assert answers[-1]["Retry-After"]


def test_a_call_whose_end_nobody_knows_is_not_made_again(
    running: str, tenant: Tenant, connect: Connect, server: Server
) -> None:
    from tests.connectors.servers import Reply

    connect(tenant, "slack")
    parameters = {"channel": "C0123456789", "message": "hello"}
    given = signed(action(execution_id=running, toolkit="slack", action="notify", parameters=parameters))
    server.answers.extend([Reply(manner="cut"), *[json_reply({"ok": False, "error": "missing_scope"})] * 9])

    refused(send_action(given), 500, "person")
    refused(send_action(given), 500, "person")
    assert [each.path for each in server.requests].count("/api/chat.postMessage") == 1


def test_a_renewed_token_is_shown_nowhere(
    running: str, tenant: Tenant, connect: Connect, server: Server, far: Vendors, caplog: Any
) -> None:
    made = _renewable(tenant, connect, server, expires_in=-1)
    read(send_action(signed(action(execution_id=running))))

    made.refresh_from_db()
    for secret in (TOKEN, RENEWED, REFRESH):
        assert secret not in caplog.text
        assert secret not in str(made.sealed_secrets)
