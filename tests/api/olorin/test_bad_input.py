"""Bad input of this family's own kinds: each a clear 4xx in its words, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executions.models import Execution
from tests.api.olorin.calls import EXECUTE, action, body, read, refused, send_action, signed
from tests.api.s4e.calls import Api

EXECUTIONS = "/api/soar/playbooks/executions"
CONNECTIONS = "/api/composio/connections"
TENANT = "tenant_id=tenant_123"
#: of another form than any id, or of a form that no row has
NO_IDS = [
    "exec_", "exec_ABCDEFGHIJKL", "exec_zzzzzzzzzzzz", "exec_000000000000", "exec_0000000000000", "pexec-7721",
    "conn_", "conn_" + "0" * 32, "conn_" + "F" * 32, "00000000-0000-0000-0000-000000000000", "0", "-1", "1e3",
    "9" * 200, "null", "undefined", "me", "NaN", "%00", "a%00b", "exec_abc%0a", "%0d%0aX:%20y", "a%2fb", "x" * 257,
    "x" * 10_000, "exec_abc123;jsessionid=1", "%ff", "%25%30", "*", "exec_abc123.json", "'%20OR%201=1--",
]  # fmt: skip


def given(**changes: Any) -> bytes:
    return json.dumps(body(**changes)).encode()


@pytest.mark.parametrize("name", ["playbook_id", "tenant_id"])
@pytest.mark.parametrize("value", [None, "", "   ", 7, True, [], {}, 1.5], ids=repr)
def test_what_is_required_is_text(written: None, api: Api, name: str, value: Any) -> None:
    sent = body() | {name: value}

    refused(api.post(EXECUTE, sent), 400, name)
    del sent[name]
    refused(api.post(EXECUTE, sent), 400, name)


@pytest.mark.parametrize("name", ["investigation_id", "anomaly_id", "trigger_reason", "context"])
@pytest.mark.parametrize("value", [None, 7, True, []], ids=repr)
def test_what_is_optional_has_its_type_when_it_is_there(written: None, api: Api, name: str, value: Any) -> None:
    refused(api.post(EXECUTE, body() | {name: value}), 400, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"playbook_id": "x" * 129}, {"playbook_id": "x" * 2**20}, {"playbook_id": "_x"}, {"playbook_id": "../x"},
        {"playbook_id": "x\n"}, {"playbook_id": "\u0661"}, {"tenant_id": "x" * 2**20}, {"anomaly_id": "x" * 257},
        {"investigation_id": ""}, {"trigger_reason": "x" * 2_001}, {"context": "x"},
        {"context": {"risk_score": "high"}}, {"context": {"risk_score": "5"}}, {"context": {"risk_score": True}},
        {"context": {"risk_score": None}}, {"context": {"risk_score": []}}, {"context": {"entity_id": 7}},
        {"context": {"entity_id": None}}, {"context": {"entity_type": {}}}, {"context": {"severity": 7}},
    ],
    ids=lambda changes: str(changes)[:60],
)  # fmt: skip
def test_fields_have_their_limits(written: None, api: Api, changes: Any) -> None:
    answer = api.post(EXECUTE, given(**changes))

    refused(answer, 400, next(iter(changes)))
    assert len(answer.content) < 1_000


@pytest.mark.parametrize(
    "context",
    [
        b'"a\\u0000b"', b'{"deep":[{"x":"a\\u0000b"}]}', b'{"a\\u0000b":1}', b'"\\ud800"', b"9" * 5_000, b"1e999",
        b"[" * 100 + b"]" * 100,
    ],
)  # fmt: skip
def test_what_no_reader_takes_is_refused_deep_in_free_json_too(written: None, api: Api, context: bytes) -> None:
    refused(api.post(EXECUTE, given().replace(b'"192.0.2.1"', context)), 400)


@pytest.mark.parametrize("score", ["-0", "1e-999", "0.1", "9007199254740993"])
def test_every_number_is_a_score(api: Api, waiting: str, score: str) -> None:
    read(api.post(EXECUTE, given().replace(b"5.2,", f"{score},".encode())), 202)

    kept = Execution.objects.get().inputs["context"]["risk_score"]
    assert float(kept) == float(score)
    assert score != "9007199254740993" or int(kept) == 9007199254740993


def test_fields_of_our_own_rows_are_not_taken_from_a_body(api: Api, waiting: str) -> None:
    ours = {"id": 7, "status": "completed", "created_at": "2020-01-01T00:00:00Z", "digest": "x", "role": "admin"}
    told = read(api.post(EXECUTE, body() | ours | {"is_superuser": True, "x_unknown": 1}), 202)

    found = Execution.objects.get()
    assert (found.status, told["status"]) == ("pending", "running")
    assert told.keys() == {"execution_id", "playbook_id", "status", "started_at"}
    assert "role" not in found.inputs
    assert found.created_at.year > 2020


def test_text_that_looks_like_something_else_stays_text(api: Api, waiting: str, start: Any) -> None:
    texts = ["<script>alert(1)</script>", "{{7*7}}", "${7*7}", "%00", "\\u0000", "\ufffe\ue000", "'; DROP TABLE x;--"]
    for text in texts:
        execution = start(trigger_reason=text, investigation_id=text, context={"entity_id": text, "more": text})
        told = read(api.get(f"{EXECUTIONS}/{execution}?{TENANT}"))
        assert told["investigation_id"] == text
        assert Execution.objects.latest("number").inputs["trigger_reason"] == text


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00fc", "a\tb"], ids=repr)
def test_a_start_key_is_one_printable_word(waiting: str, written: None, api: Api, key: str) -> None:
    refused(api.post(EXECUTE, body(), Idempotency_Key=key), 400, "Idempotency-Key")


@pytest.mark.parametrize("text", NO_IDS, ids=lambda text: text[:40])
def test_what_is_no_id_is_not_found(written: None, api: Api, text: str) -> None:
    refused(api.get(f"{EXECUTIONS}/{text}?{TENANT}"), 404)
    refused(api.send("DELETE", f"{CONNECTIONS}/{text}?{TENANT}"), 404)
    refused(api.post(f"/api/composio/test-connection/{text}?{TENANT}"), 404)


@pytest.mark.parametrize("text", ["..", ".", "%2e%2e", "%2E"])
def test_dots_are_no_ids(written: None, api: Api, text: str) -> None:
    for path in (f"{EXECUTIONS}/{text}", f"{CONNECTIONS}/{text}"):
        assert api.get(f"{path}?{TENANT}").status_code in (404, 405)


@pytest.mark.parametrize("text", ["nope", "Stripe", "stripe%00", "x" * 129, "..", "%20", "stripe%0a", "fake", "http"])
def test_what_is_no_toolkit_is_refused(written: None, api: Api, text: str) -> None:
    answer = api.post(f"/api/composio/connect/{text}?{TENANT}")

    refused(answer, answer.status_code)
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400), ("tenant_id=", 400), ("tenant_id=tenant_999", 403), ("tenant_id=%00", 400), ("tenant_id=%ff", 403),
        (f"{TENANT}&{TENANT}", 403), (f"{TENANT}&tenant_id=tenant_999", 403), (f"tenant_id={'x' * 5_000}", 403),
        ("tenant_id[]=tenant_123", 400), ("tenant_id=TENANT_123", 403), (f"{TENANT}%20", 403),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_the_tenant_of_the_query_is_the_callers(written: None, api: Api, query: str, status: int) -> None:
    for path in (CONNECTIONS, f"{EXECUTIONS}/exec_abc123"):
        refused(api.get(f"{path}?{query}"), status)
    refused(api.send("DELETE", f"{CONNECTIONS}/conn_x?{query}"), status)
    refused(api.post(f"/api/composio/connect/stripe?{query}"), status)


@pytest.mark.parametrize(
    "query", ["status=bogus", "status=", "toolkit=nope", "toolkit=", "status=active%0a", "toolkit=stripe%0a"]
)
def test_filters_are_known_words(written: None, api: Api, query: str) -> None:
    refused(api.get(f"{CONNECTIONS}?{TENANT}&{query}"), 400, query.partition("=")[0])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 401), ("state=x", 400), ("code=c", 401), ("state=&code=c", 401), ("state=forged&code=c", 401),
        ("state=%00&code=c", 400), (f"state={'x' * 4_001}&code=c", 401), ("state=%C3%BC&code=c", 401),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_callback_needs_a_state_of_ours(written: None, api: Api, query: str, status: int) -> None:
    refused(api.get(f"/api/composio/callback?{query}"), status)


@pytest.mark.parametrize("text", ["exec_", "pexec-1", "x" * 256, "exec_000000000000", "\u0661", "a b", "%00"])
def test_a_signed_action_names_an_execution(running: str, text: str) -> None:
    refused(send_action(signed(action(execution_id=text))), 404)


@pytest.mark.parametrize("name", ["execution_id", "toolkit", "action", "tenant_id"])
@pytest.mark.parametrize("value", ["x" * 257, "x" * 2**20, "   ", True, {}, 1.5], ids=lambda value: repr(value)[:20])
def test_fields_of_a_signed_action_have_their_limits(written: None, api: Api, name: str, value: Any) -> None:
    answer = send_action(signed(action() | {name: value}))

    refused(answer, 400, name)
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("value", ["", "\u00fc", "x" * 10_000, "sha256=" + "\u0661" * 64, "sha256=" + "A" * 64])
def test_a_signature_in_the_header_has_one_form(running: str, value: str) -> None:
    answer = send_action(action(execution_id=running), X_SOAR_Signature=value)

    refused(answer, 401)
    assert answer["WWW-Authenticate"]
