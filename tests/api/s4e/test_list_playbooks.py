"""GET /api/playbooks"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Tenant
from tests.api.s4e.calls import Api, data, error, read


def test_s4e_001_the_list_is_an_array_with_meta(api: Api, eight: str) -> None:
    told = read(api.get("/api/playbooks"))

    assert told["meta"] == {"total": 8, "page": 1, "per_page": 20}
    assert len(told["data"]) == 8


def test_s4e_002_an_item_has_the_documented_keys_and_no_steps(api: Api, eight: str) -> None:
    items = {item["id"]: item for item in data(api.get("/api/playbooks"))}

    item = items[eight]
    assert item.keys() == {
        "id", "name", "version", "description", "trigger", "step_count", "tags", "created_at", "updated_at",
    }  # fmt: skip
    assert item | {"created_at": "", "updated_at": ""} == {
        "id": "pb-critical-vuln-response",
        "name": "Critical Vulnerability Response",
        "version": "1.2.0",
        "description": "Automated triage and response for critical vulnerabilities.",
        "trigger": {"event": "finding.new", "conditions": {"severity": "critical"}},
        "step_count": 5,
        "tags": ["security", "automated", "incident-response"],
        "created_at": "",
        "updated_at": "",
    }
    assert item["created_at"].endswith("Z")
    assert "." not in item["created_at"]


def test_s4e_003_a_tag_filters_exactly(api: Api, eight: str) -> None:
    told = read(api.get("/api/playbooks?tag=incident-response"))

    assert [item["id"] for item in told["data"]] == [eight]
    assert told["meta"]["total"] == 1
    assert read(api.get("/api/playbooks?tag=incident"))["meta"]["total"] == 0


def test_s4e_005_a_search_without_match_is_empty(api: Api, eight: str) -> None:
    told = read(api.get("/api/playbooks?search=zzz"))

    assert told == {"data": [], "meta": {"total": 0, "page": 1, "per_page": 20}}


def test_s4e_005_a_search_looks_in_name_and_description_whatever_the_case(api: Api, eight: str) -> None:
    assert read(api.get("/api/playbooks?search=VULNERABILITY"))["meta"]["total"] == 1
    assert read(api.get("/api/playbooks?search=number+3"))["meta"]["total"] == 1
    assert read(api.get("/api/playbooks?search=number+3&tag=incident-response"))["meta"]["total"] == 0


@pytest.mark.parametrize("text", ["%25", "_", "'", "%5C", "x" * 9_000])
def test_a_search_takes_every_character_literally(api: Api, eight: str, text: str) -> None:
    assert read(api.get(f"/api/playbooks?search={text}"))["meta"]["total"] == 0


def test_s4e_006_a_page_is_cut_out(api: Api, eight: str) -> None:
    told = read(api.get("/api/playbooks?page=2&per_page=5"))

    assert len(told["data"]) == 3
    assert told["meta"] == {"total": 8, "page": 2, "per_page": 5}


def test_the_newest_comes_first(api: Api, eight: str) -> None:
    items = data(api.get("/api/playbooks"))

    assert [item["name"] for item in items][:2] == ["Playbook 6", "Playbook 5"]
    assert items[-1]["id"] == eight


@pytest.mark.parametrize(
    "query",
    ["per_page=101", "per_page=0", "page=0", "page=abc", "page=1.5", "per_page=-1", "page=99999999999999999999"],
)
def test_s4e_007_a_page_out_of_range_is_refused(api: Api, query: str) -> None:
    error(api.get(f"/api/playbooks?{query}"), 422, "validation_error")


def test_s4e_007_a_hundred_a_page_are_allowed(api: Api, eight: str) -> None:
    assert read(api.get("/api/playbooks?per_page=100"))["meta"]["per_page"] == 100


def test_s4e_009_a_page_beyond_the_end_is_empty(api: Api, eight: str) -> None:
    told = read(api.get("/api/playbooks?page=99"))

    assert told["data"] == []
    assert told["meta"]["total"] == 8


def test_s4e_010_the_key_may_come_in_a_header_or_the_query(api: Api, eight: str) -> None:
    assert Client().get("/api/playbooks", headers={"X-API-Key": api.key or ""}).status_code == 200
    assert Client().get(f"/api/playbooks?token={api.key}").status_code == 200
    assert Client(headers={"Cookie": f"token={api.key}"}).get("/api/playbooks").status_code == 200


def test_a_key_in_the_query_of_a_post_is_no_login(api: Api, tenant: Tenant) -> None:
    error(Api().post(f"/api/playbooks?token={api.key}", {}), 401, "unauthorized")


def test_s4e_011_without_credentials_there_is_nothing(db: None) -> None:
    response = Api().get("/api/playbooks")

    error(response, 401, "unauthorized")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_s4e_013_the_request_after_limit_and_burst_is_refused(
    tenant: Tenant, caller: Callable[..., Api], settings: Any
) -> None:
    tenant.rate_tier = "standard"
    tenant.save()
    api = caller(tenant, "viewer")
    answers = [api.get("/api/playbooks?per_page=1") for _ in range(121)]

    assert {answer.status_code for answer in answers[:120]} == {200}
    told = error(answers[120], 429, "rate_limited")
    assert isinstance(told["retry_after"], int)
    assert answers[120]["Retry-After"] == str(told["retry_after"])
    assert answers[120]["X-RateLimit-Limit"] == "100"


def test_s4e_014_a_success_says_where_the_caller_stands(api: Api) -> None:
    response = api.get("/api/playbooks")

    assert response["X-RateLimit-Limit"] == "10000"
    assert int(response["X-RateLimit-Remaining"]) <= 10_000
    assert int(response["X-RateLimit-Reset"]) > 1_700_000_000


def test_a_playbook_of_another_tenant_is_not_listed(stranger: Api, eight: str) -> None:
    assert read(stranger.get("/api/playbooks"))["meta"]["total"] == 0


def test_the_list_takes_the_same_number_of_queries_however_long_it_is(
    api: Api, eight: str, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        api.get("/api/playbooks")
