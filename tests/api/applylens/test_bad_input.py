"""Bad input of this family's own kinds: each a clear 4xx in its words, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import Tenant
from incidents.models import Incident
from tests.api.applylens.acting import dry_run, path
from tests.api.applylens.calls import Api, Json, make, read, refused

BODY: Json = {"kind": "gate", "key": "GATE_1", "summary": "A gate is closed."}
RERUN: Json = {"task_id": "t", "models": ["a"]}
NO_IDS = [
    "0", "-1", "+1", "1.0", "1e3", "0x1", "1_0", "\u0661", "null", "undefined", "me", "NaN", "9" * 18, "9" * 20,
    "9" * 5_000, "%00", "1%00", "1%0a", "%0d%0a", "1%20", "a%2fb", "x" * 10_000, "1;jsessionid=1", "%ff", "1.json",
]  # fmt: skip


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return make(tenant)


@pytest.mark.parametrize("name", ["kind", "key", "summary"])
@pytest.mark.parametrize("value", [None, "", "   ", 7, True, [], {}], ids=repr)
def test_what_is_required_is_text(written: None, api: Api, name: str, value: Any) -> None:
    sent = BODY | {name: value}
    error = refused(api.post("/api/incidents", sent), 422, "validation_error")
    assert name in error["details"]

    del sent[name]
    error = refused(api.post("/api/incidents", sent), 422, "validation_error")
    assert name in error["details"]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "x" * 129}, {"summary": "x" * 257}, {"summary": "x" * 2**20}, {"kind": "x" * 2**20}, {"severity": None},
        {"severity": "sev5"}, {"severity": 1}, {"details": []}, {"details": None}, {"metadata": "x"},
        {"metadata": {"notes": []}}, {"playbooks": "x"}, {"playbooks": [7]}, {"playbooks": ["x"] * 51},
        {"playbooks": ["x" * 129]}, {"assigned_to": "nobody@example.org"}, {"assigned_to": 7}, {"x_unknown": 1},
        {"x" * 2**20: 1}, {"id": 7}, {"tenant_id": "x"}, {"status": "closed"}, {"created_at": "2020-01-01T00:00:00Z"},
        {"is_superuser": True},
    ],
    ids=lambda changes: str(changes)[:60],
)  # fmt: skip
def test_fields_are_known_and_have_their_limits(written: None, api: Api, changes: Json) -> None:
    answer = api.post("/api/incidents", BODY | changes)

    error = refused(answer, 422, "validation_error")
    assert {name[:100] for name in changes} & error["details"].keys()
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "value",
    [
        b'"a\\u0000b"', b'{"deep":[{"x":"a\\u0000b"}]}', b'{"a\\u0000b":1}', b'"\\ud800"', b"9" * 5_000, b"1e999",
        b"[" * 100 + b"]" * 100,
    ],
)  # fmt: skip
def test_what_no_reader_takes_is_refused_deep_in_free_json_too(written: None, api: Api, value: bytes) -> None:
    for name in (b"details", b"metadata"):
        octets = json.dumps(BODY).encode()[:-1] + b',"%s":{"v":%s}}' % (name, value)
        refused(api.post("/api/incidents", octets), 400, "bad_request")


def test_free_json_comes_back_as_it_went(api: Api) -> None:
    value = b'{"big":9007199254740993,"text":"<b>{{7*7}}</b> %00 \\\\u0000","deep":' + b"[" * 98 + b"]" * 98 + b"}"
    octets = json.dumps(BODY).encode()[:-1] + b',"details":' + value + b"}"
    made = read(api.post("/api/incidents", octets), 201)

    assert made["details"] == json.loads(value)
    assert b"9007199254740993" in api.get(f"/api/incidents/{made['id']}").content


def test_ten_thousand_keys_are_kept_or_refused(api: Api) -> None:
    answer = api.post("/api/incidents", BODY | {"details": {f"k{number}": number for number in range(10_000)}})

    assert answer.status_code in (201, 422)


@pytest.mark.parametrize("text", ["\u202eevil", "a\u200bb", "a\r\nb\tc\x1b", "\ufffe\ue000", "'; DROP TABLE x;--"])
def test_odd_text_stays_as_it_is(api: Api, text: str) -> None:
    made = read(api.post("/api/incidents", BODY | {"summary": text}), 201)

    assert read(api.get(f"/api/incidents/{made['id']}"))["summary"] == text


@pytest.mark.parametrize("name", ["incidents", "signals"])
@pytest.mark.parametrize("rows", [None, {}, "x", 7, []], ids=repr)
def test_a_list_is_a_list(written: None, api: Api, name: str, rows: Any) -> None:
    tail = "" if name == "incidents" else "/signals"
    error = refused(api.post(f"/api/incidents{tail}", {name: rows}), 422, "validation_error")
    assert name in error["details"]


@pytest.mark.parametrize("row", [None, 7, "x", [], {}, {"kind": "gate"}, {"type": "budget"}, {"type": 7}], ids=repr)
def test_a_row_that_cannot_be_read_stops_no_other(api: Api, row: Any) -> None:
    told = read(api.post("/api/incidents", {"incidents": [row, BODY]}))
    assert (told["created"], told["invalid"]) == (1, 1)

    signal = {"type": "invariant", "id": "x", "priority": "low"}
    told = read(api.post("/api/incidents/signals", {"signals": [row, signal]}))
    assert (told["created"], told["invalid"]) == (1, 1)


@pytest.mark.parametrize("octets", [b"[]", b"7", b"null", b"{", b'{"a":1,"a":1}', b'{"notes":"a\\u0000"}', b"\xff"])
def test_verbs_take_an_object_or_nothing(incident: Incident, written: None, api: Api, octets: bytes) -> None:
    for verb in ("acknowledge", "mitigate", "resolve", "close", "assign"):
        refused(api.post(f"/api/incidents/{incident.pk}/{verb}", octets), 400, "bad_request")
    refused(api.send("PATCH", f"/api/incidents/{incident.pk}", octets), 400, "bad_request")


@pytest.mark.parametrize("notes", [None, 7, [], {}, True, "x" * 10_001], ids=lambda value: repr(value)[:20])
def test_notes_are_text(incident: Incident, written: None, api: Api, notes: Any) -> None:
    for verb in ("acknowledge", "mitigate", "resolve", "close"):
        error = refused(api.post(f"/api/incidents/{incident.pk}/{verb}", {"notes": notes}), 422, "validation_error")
        assert error["details"].keys() == {"notes"}


@pytest.mark.parametrize(
    "changes",
    [{"severity": None}, {"summary": ""}, {"playbooks": None}, {"metadata": []}, {"status": "closed"}, {"id": 7},
     {"tenant_id": "x"}, {"key": "y"}, {"x_unknown": 1}, {"assigned_to": ""}, {"assigned_to": "nobody"}],
    ids=repr,
)  # fmt: skip
def test_an_edit_names_fields_that_may_be_edited(incident: Incident, written: None, api: Api, changes: Json) -> None:
    error = refused(api.send("PATCH", f"/api/incidents/{incident.pk}", changes), 422, "validation_error")
    assert error["details"].keys() == changes.keys()


@pytest.mark.parametrize("text", NO_IDS, ids=lambda text: text[:40])
def test_what_is_no_id_is_not_found(incident: Incident, written: None, api: Api, text: str) -> None:
    refused(api.get(f"/api/incidents/{text}"), 404, "not_found")
    refused(api.post(f"/api/incidents/{text}/acknowledge", {}), 404, "not_found")
    refused(api.get(f"/api/playbooks/incidents/{text}/actions"), 404, "not_found")
    refused(api.post(f"/api/playbooks/incidents/{incident.pk}/actions/{text}/rollback", {}), 404, "not_found")


def test_what_no_text_holds_is_422(written: None, api: Api) -> None:
    for query in ("kind=gate%00", "%00=1", "limit=1%00"):
        refused(api.get(f"/api/incidents?{query}"), 422, "validation_error")


def test_what_is_another_tenants_is_not_there(api: Api, other_tenant: Tenant) -> None:
    theirs = make(other_tenant)
    for path_of in ("/api/incidents/{}", "/api/playbooks/incidents/{}/actions"):
        known, unknown = (api.get(path_of.format(number)) for number in (theirs.pk, theirs.pk + 10_000))
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (404, known.content)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=abc", "limit=", "limit=1.5", "limit=%2B1", "limit=\u0661", "limit=1%20",
        "offset=-1", "offset=1180591620717411303424", "offset=1000000001", "status=bogus", "status=", "status=OPEN",
        "severity=9", "kind=", "kind=gate%20", "status=open%0a",
    ],
)  # fmt: skip
def test_parameters_of_the_list_are_in_range(written: None, api: Api, query: str) -> None:
    error = refused(api.get(f"/api/incidents?{query}"), 422, "validation_error")
    assert error["details"].keys() == {query.partition("=")[0]}


@pytest.mark.parametrize(
    "given", [None, "", 7, [], {}, "format_disk", "manual", "x" * 2**20], ids=lambda v: repr(v)[:20]
)
@pytest.mark.parametrize("call", ["dry-run", "execute"])
def test_an_action_is_named(incident: Incident, written: None, api: Api, call: str, given: Any) -> None:
    answer = api.post(path(incident, f"/{call}"), {"action_type": given, "params": {}})

    refused(answer, 400, "bad_request")
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("params", [None, [], "x", 7], ids=repr)
def test_parameters_are_an_object(incident: Incident, written: None, api: Api, params: Any) -> None:
    refused(dry_run(api, incident, {"action_type": "rerun_dbt", "params": params}), 400, "bad_request")


@pytest.mark.parametrize("threads", [2**31, 2**63 - 1, -1, 0, 65, "5", True, None, 1.5, [], 10**30], ids=repr)
def test_a_whole_number_is_one_and_in_range(incident: Incident, written: None, api: Api, threads: Any) -> None:
    given = {"action_type": "rerun_dbt", "params": RERUN | {"threads": threads}}
    error = refused(dry_run(api, incident, given), 422, "validation_error")
    assert any("threads" in name for name in error["details"])


@pytest.mark.parametrize(
    "changes",
    [{"task_id": ""}, {"task_id": "x" * 201}, {"task_id": 7}, {"models": []}, {"models": "x"}, {"models": [7]},
     {"models": ["$(id)"]}, {"models": ["-x"]}, {"models": ["a b"]}, {"models": ["x"] * 101}, {"models": ["a\n"]},
     {"full_refresh": "yes"}, {"upstream": 1}, {"x_unknown": 1}],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_parameters_of_an_action_have_their_limits(incident: Incident, written: None, api: Api, changes: Json) -> None:
    for call in ("dry-run", "execute"):
        given = {"action_type": "rerun_dbt", "params": RERUN | changes}
        error = refused(api.post(path(incident, f"/{call}"), given), 422, "validation_error")
        assert any(name in found for found in error["details"] for name in changes)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00fc", "a\tb"], ids=repr)
def test_a_start_key_is_one_printable_word(incident: Incident, written: None, api: Api, key: str) -> None:
    given = {"action_type": "clear_cache", "params": {"index_name": "emails"}}
    refused(api.post(path(incident, "/execute"), given, Idempotency_Key=key), 400, "bad_request")
    refused(api.post("/api/incidents", BODY, Idempotency_Key=key), 400, "bad_request")


@pytest.mark.parametrize("value", [7, [], {}, True, "", "x" * 255], ids=lambda value: repr(value)[:20])
def test_who_approves_is_text(incident: Incident, written: None, api: Api, value: Any) -> None:
    given = {"action_type": "clear_cache", "params": {"index_name": "emails"}, "approved_by": value}
    error = refused(api.post(path(incident, "/execute"), given), 422, "validation_error")
    assert error["details"].keys() == {"approved_by"}


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json", "garbage", ""])
def test_a_stream_without_credentials_is_json(db: None, accept: str) -> None:
    for given in ("", "?token=", "?token=stream_x", "?token=stream_x:y:z", "?token=%00", "?token=a&token=b"):
        refused(Api().get(f"/api/sse/events{given}"), 401, "unauthorized")
        refused(Api().send("GET", f"/api/sse/events{given}", Accept=accept), 401, "unauthorized")
