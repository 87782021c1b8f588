"""GET /api/incidents and /api/incidents/{id}."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

from tests.api.applylens.calls import Api, caller_of, make, moved, read, refused

if TYPE_CHECKING:
    from django.test.utils import CaptureQueriesContext
    from pytest_django import DjangoAssertNumQueries

    from accounts.models import Tenant

ITEM = {
    "id", "kind", "key", "severity", "status", "summary", "details", "playbooks", "issue_url", "assigned_to",
    "acknowledged_by", "created_at", "updated_at",
}  # fmt: skip
DETAIL = ITEM | {"metadata", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at"}


def test_a_list_says_how_many_there_are_and_shows_the_newest_first(api: Api, tenant: Tenant) -> None:
    old, new = make(tenant, "INV_old", minutes_ago=5), make(tenant, "INV_new")

    found = read(api.get("/api/incidents"))

    assert found.keys() == {"incidents", "total", "limit", "offset"}
    assert (found["total"], found["limit"], found["offset"]) == (2, 50, 0)
    assert [row["id"] for row in found["incidents"]] == [new.pk, old.pk]
    assert found["incidents"][0].keys() == ITEM
    assert isinstance(found["incidents"][0]["id"], int)


def test_of_two_made_at_one_moment_the_later_comes_first(api: Api, tenant: Tenant) -> None:
    body = {"incidents": [{"kind": "gate", "key": f"k{n}", "summary": "s"} for n in range(3)]}
    made = read(api.post("/api/incidents", body))["results"]

    rows = read(api.get("/api/incidents"))["incidents"]

    assert [row["id"] for row in rows] == sorted((row["id"] for row in made), reverse=True)


def test_filters_go_together_and_total_counts_all_matches(api: Api, tenant: Tenant) -> None:
    wanted = [make(tenant, f"INV_{n}") for n in range(3)]
    make(tenant, "INV_other", severity="sev2")
    make(tenant, "INV_budget", kind="budget")
    moved(tenant, "acknowledged")

    found = read(api.get("/api/incidents?status=open&severity=sev1&kind=invariant&limit=2"))

    assert (found["total"], found["limit"]) == (3, 2)
    assert [row["id"] for row in found["incidents"]] == [wanted[2].pk, wanted[1].pk]
    assert read(api.get("/api/incidents?status=all&severity=all&kind=all"))["total"] == 6


def test_an_offset_leaves_out_and_changes_no_total(api: Api, tenant: Tenant) -> None:
    first, _ = make(tenant, "INV_1", minutes_ago=1), make(tenant, "INV_2")

    found = read(api.get("/api/incidents?limit=1&offset=1"))

    assert ([row["id"] for row in found["incidents"]], found["total"], found["offset"]) == ([first.pk], 2, 1)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "offset=-1", "limit=x", "limit=", "offset=1.5", "status=weird", "severity=SEV1",
     "kind=", "limit=99999999999999999999", "status=open%00"],
)  # fmt: skip
def test_a_query_that_means_nothing_is_refused(api: Api, query: str) -> None:
    error = refused(api.get(f"/api/incidents?{query}"), 422, "validation_error")

    assert "%00" in query or error["details"].keys() == {query.partition("=")[0]}


def test_lists_and_totals_are_of_ones_own_tenant(api: Api, stranger: Api, tenant: Tenant) -> None:
    make(tenant)

    assert read(stranger.get("/api/incidents")) == {"incidents": [], "total": 0, "limit": 50, "offset": 0}
    assert read(api.get("/api/incidents"))["total"] == 1


def test_without_credentials_it_is_a_401(db: None) -> None:
    response = Api().get("/api/incidents")

    assert refused(response, 401, "unauthorized")["details"] == {}
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_list_takes_as_many_queries_for_a_hundred_as_for_one(
    api: Api, tenant: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    body = {"incidents": [{"kind": "gate", "key": f"k{n}", "summary": "s"} for n in range(100)]}
    read(api.post("/api/incidents", body))

    queries: CaptureQueriesContext
    with django_assert_max_num_queries(6) as queries:
        assert len(read(api.get("/api/incidents?limit=100"))["incidents"]) == 100
    assert len(queries) <= 6


def test_a_detail_has_its_times_and_what_was_noted(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, metadata={"agent": "inbox.triage", "auto_created": True})

    found = read(api.get(f"/api/incidents/{incident.pk}"))

    assert found.keys() == DETAIL
    assert found["metadata"] == {"agent": "inbox.triage", "auto_created": True, "action_history": [], "notes": []}
    assert [found[f"{state}_at"] for state in ("acknowledged", "mitigated", "resolved", "closed")] == [None] * 4
    assert (found["playbooks"], found["issue_url"]) == (["rerun_eval", "rerun_dbt"], None)
    for name in ("created_at", "updated_at"):
        assert found[name].endswith("Z")
        assert len(found[name]) == len("2025-10-17T10:00:00Z")


@pytest.mark.parametrize("number", ["999999", "abc", "99999999999999999999", "0", "-1", "1.0"])
def test_what_is_not_there_is_a_404_in_the_familys_words(api: Api, number: str) -> None:
    refused(api.get(f"/api/incidents/{number}"), 404, "not_found")


def test_another_tenants_incident_is_answered_like_a_missing_one(api: Api, stranger: Api, tenant: Tenant) -> None:
    foreign, missing = stranger.get(f"/api/incidents/{make(tenant).pk}"), api.get("/api/incidents/999999")

    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content
    assert read(missing, 404) == {"error": {"code": "not_found", "message": "Incident not found", "details": {}}}


def test_a_key_without_the_permission_is_a_403(tenant: Tenant) -> None:
    refused(caller_of(tenant, "api_service").get("/api/incidents"), 403, "forbidden")


def test_the_limit_of_an_address_is_told_and_held(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get("/api/incidents")["X-RateLimit-Limit"] == "1000"
    monkeypatch.setattr("api.applylens.errors.REQUESTS_AN_HOUR", 3)
    assert [api.get("/api/incidents").status_code for _ in range(3)] == [200, 200, 429]

    response = api.get("/api/incidents")

    refused(response, 429, "rate_limited")
    assert 0 < int(response["Retry-After"]) <= 3601  # to the full second after the end of the window
    assert (response["X-RateLimit-Limit"], response["X-RateLimit-Remaining"]) == ("3", "0")
    assert int(response["X-RateLimit-Reset"]) > 1_700_000_000


def test_the_window_is_the_addresss_whoever_calls(api: Api, stranger: Api) -> None:
    left = [int(caller.get("/api/incidents")["X-RateLimit-Remaining"]) for caller in (api, stranger, api)]

    assert left == [999, 998, 997]


def test_head_answers_like_get_without_a_body(api: Api) -> None:
    response = api.send("HEAD", "/api/incidents")

    assert (response.status_code, response.content) == (200, b"")


def test_a_token_in_the_query_counts_nowhere_but_at_the_stream(api: Api) -> None:
    response = Client().get(f"/api/incidents?token={api.key}")

    refused(response, 401, "unauthorized")  # type: ignore[arg-type]
