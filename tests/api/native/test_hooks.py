"""Webhooks in: signed with the trigger's own secret, taken once, and answered alike to whoever cannot sign."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Tenant
from core.clock import database_now
from executions.models import Execution
from playbooks import hooks
from playbooks.models import Playbook, PlaybookVersion, Trigger
from tests.api.native.calls import Api
from tests.api.native.triggering import (
    ROOT,
    deliver,
    deliver_as_github,
    executions_of,
    make,
    problem,
    read,
    sign,
    store,
)

BODY = {"title": "Log4Shell", "severity": "critical", "host": {"name": "web-1"}}


@pytest.fixture
def playbook(tenant: Tenant) -> Playbook:
    return store(tenant)


@pytest.fixture
def hook(api: Api, playbook: Playbook) -> dict[str, Any]:
    return make(api, playbook, "webhook")


def send(hook: dict[str, Any], body: Any = BODY, **more: Any) -> Any:
    return deliver(hook["hook"], hook["secret"], body, **more)


def test_a_signed_request_starts_the_playbook_which_sees_the_body(hook: dict[str, Any], playbook: Playbook) -> None:
    answer = send(hook)

    [started] = read(answer)["started"]
    execution = Execution.objects.get(pk=started["execution_id"])
    assert answer.status_code == 202
    assert started["stream"] == f"/ws/executions/{execution.pk}"
    assert execution.playbook_id == playbook.pk
    assert execution.inputs["webhook"] == BODY
    assert (execution.actor["kind"], execution.actor["id"]) == ("trigger", hook["id"])
    trigger = Trigger.objects.get(pk=hook["id"])
    assert (trigger.last_execution_id, trigger.last_fired_at) == (execution.pk, execution.created_at)


#: openssl's answers: printf '%s\n%s\n%s' TIME ID BODY | openssl dgst -sha256 -hmac sallyport_hook_example
VECTORS = [
    ("1800000000", "", b"{}", "1c7a1fe5c02c66d4567e7cad84575e38cb3bf973d578556102b5819aed88b048"),
    (
        "1800000000",
        "evt-1",
        b'{"title":"Log4Shell"}',
        "ebe509a8b350ab938a33a11970265aa0b884c9d6ed5ffaeec025bc6c8436f6bf",
    ),
    (
        "1800000000",
        "evt-1",
        b'{"title":"\xc3\x9cn\xc3\xafcode"}',
        "65f78308823308c84067acb01f45ec8c31d413b1cdf4a09e246e370721557834",
    ),
]


@pytest.mark.parametrize(("timestamp", "event_id", "body", "digest"), VECTORS)
def test_signatures_are_those_of_openssl(timestamp: str, event_id: str, body: bytes, digest: str) -> None:
    text = hooks.signed_text(timestamp=timestamp, event_id=event_id, body=body)

    assert sign("sallyport_hook_example", text) == f"sha256={digest}"


def _refusals(hook: dict[str, Any]) -> dict[str, Any]:
    octets = json.dumps(BODY).encode()
    now = str(int(time.time()))
    good = sign(hook["secret"], f"{now}\n\n".encode() + octets)
    return {
        "another secret": deliver(hook["hook"], hooks.new_secret(), BODY),
        "another body": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=sign(hook["secret"], b"x")),
        "another id": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Event_Id="evt-9"),
        "another time": deliver(
            hook["hook"], hook["secret"], BODY, at=int(now), X_Sallyport_Timestamp=str(int(now) + 1)
        ),
        "body alone": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=sign(hook["secret"], octets)),
        "upper case": deliver(
            hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=good.upper(), X_Sallyport_Timestamp=now
        ),
        "cut": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=good[:-1], X_Sallyport_Timestamp=now),
        "sha1": deliver(
            hook["hook"],
            hook["secret"],
            BODY,
            X_Sallyport_Signature=good.replace("256", "1"),
            X_Sallyport_Timestamp=now,
        ),
        "twice": deliver(
            hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=f"{good},{good}", X_Sallyport_Timestamp=now
        ),
        "none": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Signature=""),
        "no time": deliver(hook["hook"], hook["secret"], BODY, X_Sallyport_Timestamp=""),
        "GitHub's": deliver_as_github(hook["hook"], hook["secret"], BODY),
        "too old": deliver(hook["hook"], hook["secret"], BODY, at=time.time() - 400),
        "too new": deliver(hook["hook"], hook["secret"], BODY, at=time.time() + 400),
        "unknown trigger": deliver(f"/api/native/hooks/{uuid4()}", hook["secret"], BODY),
        "no id at all": deliver("/api/native/hooks/x", hook["secret"], BODY),
    }


def test_whoever_cannot_sign_gets_one_answer_for_every_reason_and_starts_nothing(hook: dict[str, Any]) -> None:
    answers = _refusals(hook)

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert len({answer.content for answer in answers.values()}) == 1
    assert {answer["Content-Type"] for answer in answers.values()} == {"application/problem+json"}
    assert not Execution.objects.exists()


@pytest.mark.parametrize("late", [-240, 240])
def test_five_minutes_either_way_are_allowed_for_the_senders_clock(hook: dict[str, Any], late: int) -> None:
    assert len(executions_of(send(hook, at=time.time() + late))) == 1


def test_an_event_trigger_and_one_without_a_secret_answer_like_an_unknown_one(
    api: Api, tenant: Tenant, hook: dict[str, Any]
) -> None:
    other = make(api, store(tenant), "finding.new")
    document = Trigger.objects.get(playbook=store(tenant, event="webhook"))
    unknown = deliver(f"/api/native/hooks/{uuid4()}", hook["secret"], BODY).content

    for trigger in (other["id"], document.pk):
        answer = deliver(f"/api/native/hooks/{trigger}", hook["secret"], BODY)
        assert (answer.status_code, answer.content) == (401, unknown)


def test_a_documents_webhook_works_once_it_has_a_secret(api: Api, tenant: Tenant) -> None:
    trigger = Trigger.objects.get(playbook=store(tenant, event="webhook"))
    made = read(api.post(f"{ROOT}/{trigger.pk}/rotate-secret"))

    assert len(executions_of(deliver(made["hook"], made["secret"], BODY))) == 1


def test_an_exact_replay_gives_the_first_answer_again(hook: dict[str, Any]) -> None:
    now = time.time()
    first, again = send(hook, at=now), send(hook, at=now)

    assert first.content == again.content
    assert Execution.objects.count() == 1
    assert executions_of(send(hook, at=now + 1)) != executions_of(first)


def test_an_id_starts_once_and_with_another_body_is_a_conflict(hook: dict[str, Any]) -> None:
    first = executions_of(send(hook, id="evt-1", at=time.time() - 60))

    assert executions_of(send(hook, id="evt-1")) == first
    problem(send(hook, {"title": "other"}, id="evt-1"), 409, "start_key_reused")
    assert executions_of(send(hook, id="evt-2")) != first
    assert Execution.objects.count() == 2


def test_an_id_with_another_body_is_a_conflict_even_where_that_body_meets_no_condition(
    api: Api, playbook: Playbook
) -> None:
    hook = make(api, playbook, "webhook", conditions={"severity": "critical"})
    send(hook, id="evt-1")

    problem(send(hook, {"severity": "low"}, id="evt-1"), 409, "start_key_reused")


def test_dedup_fields_make_requests_without_an_id_the_same(api: Api, playbook: Playbook) -> None:
    hook = make(api, playbook, "webhook", dedup_fields=["host.name", "title"])
    first = executions_of(send(hook))

    assert executions_of(send(hook, BODY | {"severity": "low", "seen": 7})) == first
    assert executions_of(send(hook, BODY | {"host": {"name": "web-2"}})) != first
    assert executions_of(send(hook, {"severity": "low"})) != executions_of(send(hook, {"severity": "high"}))
    assert executions_of(send(hook, id="evt-1")) != first


def test_conditions_that_are_not_met_start_nothing_and_say_so(api: Api, playbook: Playbook) -> None:
    hook = make(api, playbook, "webhook", conditions={"severity": {"$in": ["high", "critical"]}})

    told = send(hook, {"severity": "low"})

    assert executions_of(told) == []
    assert "conditions" in read(told)["why"]
    assert len(executions_of(send(hook))) == 1


def test_githubs_signature_counts_only_where_the_trigger_says_so(api: Api, playbook: Playbook) -> None:
    hook = make(api, playbook, "webhook", signature="github")
    first = deliver_as_github(hook["hook"], hook["secret"], BODY, id="d-1")

    assert len(executions_of(first)) == 1
    assert executions_of(deliver_as_github(hook["hook"], hook["secret"], BODY, id="d-1")) == executions_of(first)
    assert executions_of(deliver_as_github(hook["hook"], hook["secret"], BODY, id="d-2")) != executions_of(first)
    other = deliver_as_github(hook["hook"], hook["secret"], {"title": "other"}, id="d-1")
    problem(other, 409, "start_key_reused")
    without = [deliver_as_github(hook["hook"], hook["secret"], BODY) for _ in range(2)]
    assert executions_of(without[0]) == executions_of(without[1])
    assert send(hook).status_code == 401


def test_where_only_the_body_is_signed_another_delivery_id_does_not_start_the_same_event_again(
    api: Api, playbook: Playbook
) -> None:
    hook = make(api, playbook, "webhook", signature="github", dedup_fields=["title"])
    first = executions_of(deliver_as_github(hook["hook"], hook["secret"], BODY, id="d-1"))

    assert executions_of(deliver_as_github(hook["hook"], hook["secret"], BODY, id="forged")) == first


def test_github_example_of_a_signature() -> None:
    """The vector in GitHub's documentation of webhooks."""
    assert sign("It's a Secret to Everybody", b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_a_rotated_secret_replaces_the_old_one_after_the_overlap(api: Api, hook: dict[str, Any]) -> None:
    made = read(api.post(f"{ROOT}/{hook['id']}/rotate-secret", {"overlap_seconds": 60}))

    assert made["secret"] != hook["secret"]
    assert send(hook).status_code == 202
    assert send(made).status_code == 202

    Trigger.objects.update(old_secret_until=database_now() - timedelta(seconds=1))
    assert send(hook).status_code == 401
    assert send(made).status_code == 202


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(api: Api, hook: dict[str, Any]) -> None:
    made = read(api.post(f"{ROOT}/{hook['id']}/rotate-secret", {"overlap_seconds": 0}))

    assert send(hook).status_code == 401
    assert send(made).status_code == 202


def test_a_secret_is_sealed_for_its_place_and_shown_nowhere_again(api: Api, hook: dict[str, Any]) -> None:
    secret = hook["secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM playbooks_trigger t")
        [(row,)] = cursor.fetchall()

    assert secret not in row
    for path in (ROOT, f"{ROOT}/{hook['id']}"):
        assert secret not in api.get(path).content.decode()
    other = Trigger.objects.get(playbook=store(Tenant.objects.get(), event="webhook"))
    Trigger.objects.filter(pk=other.pk).update(sealed_secret=Trigger.objects.get(pk=hook["id"]).sealed_secret)
    assert deliver(f"/api/native/hooks/{other.pk}", secret, BODY).status_code == 409


def test_a_disabled_trigger_or_playbook_tells_its_sender(api: Api, hook: dict[str, Any], playbook: Playbook) -> None:
    api.send("PATCH", f"{ROOT}/{hook['id']}", {"enabled": False})
    problem(send(hook), 409, "trigger_disabled")

    api.send("PATCH", f"{ROOT}/{hook['id']}", {"enabled": True})
    Playbook.objects.filter(pk=playbook.pk).update(is_enabled=False)
    problem(send(hook), 409, "playbook_disabled")
    assert "playbook_disabled" in read(api.get(f"{ROOT}/{hook['id']}"))["last_error"]

    Playbook.objects.filter(pk=playbook.pk).update(is_enabled=True)
    PlaybookVersion.objects.update(is_revoked=True)
    problem(send(hook), 409, "playbook_revoked")
    assert not Execution.objects.exists()


def test_a_full_queue_tells_the_sender_to_come_again(hook: dict[str, Any], settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 1
    send(hook, id="evt-1")

    answer = send(hook, id="evt-2")
    problem(answer, 429, "queue_full")
    assert int(answer["Retry-After"]) > 0

    settings.SALLYPORT_QUEUE_LIMIT = 10
    assert len(executions_of(send(hook, id="evt-2"))) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b'{"a":NaN}'])
def test_a_signed_body_that_is_no_strict_object_is_refused(hook: dict[str, Any], body: bytes) -> None:
    answer = send(hook, body)

    assert answer.status_code == 400
    assert not Execution.objects.exists()


def test_a_large_body_and_another_media_type_are_refused(hook: dict[str, Any]) -> None:
    assert send(hook, {"x": "y" * 2**20}).status_code == 413
    assert Client().post(hook["hook"], {"payload": "{}"}).status_code == 415


def test_an_id_that_is_no_word_is_refused(hook: dict[str, Any]) -> None:
    assert send(hook, id="a b").status_code == 400
    assert send(hook, id="x" * 256).status_code == 400


def test_credentials_of_the_sender_for_something_else_do_not_matter(hook: dict[str, Any]) -> None:
    assert send(hook, Authorization="Basic dXNlcjpwYXNz").status_code == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_known(hook: dict[str, Any], method: str) -> None:
    answer = Client().generic(method, hook["hook"])

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_a_sender_is_counted_and_another_address_is_not(hook: dict[str, Any], settings: Any) -> None:
    statuses = [deliver(hook["hook"], "wrong", BODY).status_code for _ in range(301)]

    assert statuses == [401] * 300 + [429]
    octets = json.dumps(BODY).encode()
    now = str(int(time.time()))
    headers = {
        "X-Sallyport-Timestamp": now,
        "X-Sallyport-Signature": sign(hook["secret"], f"{now}\n\n".encode() + octets),
    }
    answer = Client(REMOTE_ADDR="203.0.113.9").generic(
        "POST", hook["hook"], octets, content_type="application/json", headers=headers
    )
    assert answer.status_code == 202


def test_the_trigger_of_a_tenant_that_is_switched_off_is_unknown(hook: dict[str, Any]) -> None:
    Tenant.objects.update(is_active=False)

    assert send(hook).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_fifty_equal_requests_at_once_start_one_execution(api: Api, playbook: Playbook) -> None:
    hook = make(api, playbook, "webhook")
    barrier = threading.Barrier(50)
    now = time.time()

    def one(_: int) -> Any:
        connection.ensure_connection()
        barrier.wait(30)
        try:
            return send(hook, at=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))

    assert {answer.status_code for answer in answers} == {202}, [answer.content for answer in answers]
    assert len({tuple(executions_of(answer)) for answer in answers}) == 1
    assert Execution.objects.count() == 1
    assert executions_of(send(hook, at=now)) == executions_of(answers[0])


@pytest.mark.parametrize(("seconds", "is_good"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_the_window_is_five_minutes_to_the_second(seconds: int, is_good: bool) -> None:
    now = datetime(2027, 1, 15, 8, tzinfo=UTC)

    assert hooks.is_fresh(str(int(now.timestamp()) + seconds), now=now) is is_good


@pytest.mark.parametrize("text", ["", "-1", "1e9", " 1800000000", "1800000000.0", "\uff11" * 10, "9" * 13])
def test_a_time_that_is_no_number_of_seconds_is_never_fresh(text: str) -> None:
    assert not hooks.is_fresh(text, now=datetime(2027, 1, 15, 8, tzinfo=UTC))
