"""POST /api/incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Tenant, User
from incidents.models import AnsweredRequest, Incident
from incidents.services.tidying import forget_old
from tests.api.applylens.calls import ENGINEER, Api, make, moved, read, refused, told

BODY = {"kind": "invariant", "key": "INV_x", "summary": "s", "severity": "sev2"}


def test_an_incident_is_made_and_told_once(api: Api, tenant: Tenant, engineer: User) -> None:
    body = BODY | {
        "details": {"a": [1, 2.5, {"b": None}]},
        "playbooks": ["rerun_dbt"],
        "metadata": {"agent": "inbox"},
        "assigned_to": "Engineer@Example.com",
    }

    found = read(api.post("/api/incidents", body), 201)

    assert (found["status"], found["severity"], found["details"]) == ("open", "sev2", body["details"])
    assert (found["playbooks"], found["assigned_to"], found["metadata"]["agent"]) == (["rerun_dbt"], ENGINEER, "inbox")
    [event] = told(tenant, "incident_created")
    assert event == {name: found[name] for name in ("id", "kind", "severity", "status", "summary", "created_at")}


def test_what_is_not_said_has_its_default(api: Api) -> None:
    found = read(api.post("/api/incidents", {"kind": "gate", "key": "k", "summary": "s"}), 201)

    assert (found["severity"], found["details"], found["playbooks"]) == ("sev3", {}, [])


def test_one_that_is_live_is_not_made_again(api: Api, tenant: Tenant) -> None:
    first = read(api.post("/api/incidents", BODY), 201)

    again = read(api.post("/api/incidents", BODY | {"summary": "another", "severity": "sev1"}), 200)

    assert again == first | {"deduplicated": True}
    assert len(told(tenant)) == 1


@pytest.mark.parametrize("status", ["acknowledged", "mitigated"])
def test_one_that_is_being_dealt_with_is_live(api: Api, tenant: Tenant, status: str) -> None:
    incident = moved(tenant, status, "INV_x")

    assert read(api.post("/api/incidents", BODY), 200)["id"] == incident.pk


@pytest.mark.parametrize("status", ["resolved", "closed"])
def test_one_that_is_over_blocks_nothing(api: Api, tenant: Tenant, status: str) -> None:
    incident = moved(tenant, status, "INV_x")

    assert read(api.post("/api/incidents", BODY), 201)["id"] != incident.pk


def test_another_kind_or_tenant_with_the_same_key_is_another_incident(api: Api, stranger: Api) -> None:
    ids = {
        read(caller.post("/api/incidents", BODY | {"kind": kind}), 201)["id"]
        for caller in (api, stranger)
        for kind in ("invariant", "budget")
    }

    assert len(ids) == 4


def test_the_fourth_of_a_key_within_an_hour_is_not_made(api: Api, tenant: Tenant) -> None:
    for minutes_ago in (50, 40, 30):
        moved(tenant, "closed", "INV_x", minutes_ago=minutes_ago)

    response = api.post("/api/incidents", BODY)

    refused(response, 429, "rate_limited")
    assert 8 * 60 < int(response["Retry-After"]) <= 10 * 60
    assert (response["X-RateLimit-Limit"], response["X-RateLimit-Remaining"]) == ("3", "0")
    assert Incident.objects.filter(tenant=tenant).count() == 3
    read(api.post("/api/incidents", BODY | {"key": "INV_y"}), 201)


def test_after_the_hour_it_is_made_again(api: Api, tenant: Tenant) -> None:
    for minutes_ago in (61, 40, 30):
        moved(tenant, "closed", "INV_x", minutes_ago=minutes_ago)

    read(api.post("/api/incidents", BODY), 201)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "weather"}, "kind"),
        ({"kind": None}, "kind"),
        ({"key": ""}, "key"),
        ({"key": " "}, "key"),
        ({"key": "k" * 129}, "key"),
        ({"key": 5}, "key"),
        ({"summary": "s" * 257}, "summary"),
        ({"severity": "sev5"}, "severity"),
        ({"severity": ["sev1"]}, "severity"),
        ({"details": []}, "details"),
        ({"playbooks": "rerun_dbt"}, "playbooks"),
        ({"playbooks": [5]}, "playbooks"),
        ({"playbooks": ["x"] * 51}, "playbooks"),
        ({"metadata": "m"}, "metadata"),
        ({"metadata": {"notes": []}}, "metadata"),
        ({"assigned_to": "nobody@example.org"}, "assigned_to"),
        ({"assigned_to": 5}, "assigned_to"),
        ({"status": "closed"}, "status"),
    ],
)
def test_a_wrong_field_is_named(api: Api, tenant: Tenant, change: dict[str, Any], field: str) -> None:
    error = refused(api.post("/api/incidents", BODY | change), 422, "validation_error")

    assert error["details"].keys() == {field}
    assert not Incident.objects.filter(tenant=tenant).exists()


def test_every_fault_is_named_at_once(api: Api) -> None:
    error = refused(api.post("/api/incidents", {"severity": "x"}), 422, "validation_error")

    assert error["details"].keys() == {"kind", "key", "summary", "severity"}


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"kind": NaN}', b'{"kind": 1, "kind": 2}', b"[" * 1000, b'"text"', b'{"a": 1e999}']
)
def test_what_is_no_object_is_a_400(api: Api, body: bytes) -> None:
    refused(api.send("POST", "/api/incidents", body), 400, "bad_request")


def test_another_tenants_user_is_nobody(api: Api, stranger: Api, engineer: User) -> None:
    body = BODY | {"assigned_to": ENGINEER}

    refused(stranger.post("/api/incidents", body), 422, "validation_error")
    read(api.post("/api/incidents", body), 201)


def test_a_viewer_makes_nothing(viewer: Api) -> None:
    refused(viewer.post("/api/incidents", BODY), 403, "forbidden")
    refused(viewer.post("/api/incidents/signals", {}), 403, "forbidden")


# --- lists


def test_bad_rows_of_a_list_do_not_stop_the_others(api: Api, tenant: Tenant) -> None:
    live = make(tenant, "INV_live")
    rows = [BODY, BODY | {"key": "INV_y"}, BODY | {"key": "INV_live"}, {"kind": "invariant", "summary": "s"}]

    found = read(api.post("/api/incidents", {"incidents": rows}))

    assert [found[name] for name in ("created", "deduplicated", "suppressed", "invalid")] == [2, 1, 0, 1]
    assert [row["index"] for row in found["results"]] == [0, 1, 2, 3]
    assert [row["outcome"] for row in found["results"]] == ["created", "created", "deduplicated", "invalid"]
    assert found["results"][2] == {"index": 2, "outcome": "deduplicated", "id": live.pk}
    assert found["results"][3]["error"]["details"] == {"key": "Is required."}
    assert len(told(tenant, "incident_created")) == 3


def test_the_first_of_a_key_in_a_list_counts(api: Api, tenant: Tenant) -> None:
    rows = [BODY | {"summary": "first"}, BODY | {"summary": "second"}, "no object"]

    results = read(api.post("/api/incidents", {"incidents": rows}))["results"]

    assert [row["outcome"] for row in results] == ["created", "deduplicated", "invalid"]
    assert results[0]["id"] == results[1]["id"]
    assert Incident.objects.get(tenant=tenant).summary == "first"


def test_a_list_of_what_floods_is_suppressed(api: Api, tenant: Tenant) -> None:
    for _ in range(3):
        moved(tenant, "closed", "INV_x")

    found = read(api.post("/api/incidents", {"incidents": [BODY, BODY]}))

    assert (found["suppressed"], found["created"]) == (2, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"incidents": [BODY] * 1001},
        {"incidents": []},
        {"incidents": "x"},
        {"incidents": None},
        {"incidents": [BODY], "kind": "gate"},
    ],
)
def test_a_list_that_is_none_is_refused_whole(api: Api, tenant: Tenant, body: dict[str, Any]) -> None:
    refused(api.post("/api/incidents", body), 422, "validation_error")

    assert not Incident.objects.filter(tenant=tenant).exists()


# --- Idempotency-Key


def test_the_same_key_and_body_get_the_same_answer(api: Api, tenant: Tenant) -> None:
    body = {"incidents": [BODY]}
    first = api.post("/api/incidents", body, Idempotency_Key="abc")
    second = api.post("/api/incidents", body, Idempotency_Key="abc")

    assert read(first)["created"] == 1
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert read(api.post("/api/incidents", body))["deduplicated"] == 1


def test_a_single_answer_is_repeated_with_its_status(api: Api) -> None:
    first, second = (read(api.post("/api/incidents", BODY, Idempotency_Key="abc"), 201) for _ in range(2))

    assert first == second


def test_the_same_key_with_another_body_is_a_conflict(api: Api, stranger: Api, tenant: Tenant) -> None:
    read(api.post("/api/incidents", BODY, Idempotency_Key="abc"), 201)

    refused(api.post("/api/incidents", BODY | {"key": "INV_y"}, Idempotency_Key="abc"), 409, "conflict")
    assert Incident.objects.filter(tenant=tenant).count() == 1
    read(stranger.post("/api/incidents", BODY | {"key": "INV_y"}, Idempotency_Key="abc"), 201)


def test_what_was_refused_may_be_tried_again_with_its_key(api: Api, tenant: Tenant) -> None:
    refused(api.post("/api/incidents", BODY | {"kind": "x"}, Idempotency_Key="abc"), 422, "validation_error")
    read(api.post("/api/incidents", BODY, Idempotency_Key="abc"), 201)


def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    read(api.post("/api/incidents", BODY, Idempotency_Key="abc"), 201)
    row = AnsweredRequest.objects.get()
    assert forget_old() == 0
    AnsweredRequest.objects.update(created_at=row.created_at - timedelta(hours=25))

    assert forget_old() == 1
    read(api.post("/api/incidents", BODY, Idempotency_Key="abc"), 200)


def test_a_key_of_the_wrong_form_is_refused(api: Api) -> None:
    refused(api.post("/api/incidents", BODY, Idempotency_Key="a b"), 400, "bad_request")
