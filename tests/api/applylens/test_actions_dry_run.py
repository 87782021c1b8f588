"""What may be done against an incident, and what each action would do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Tenant
from api import throttling
from executions.models import Execution
from incidents.action_models import ActionRun
from tests.api.applylens.acting import CLEAR, INCREMENTAL, body, dry_run, history, path
from tests.api.applylens.calls import Api, Json, make, moved, read, refused
from tests.connectors.servers import Server, json_reply

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
KEYS = ["action_type", "status", "message", "details", "estimated_duration", "estimated_cost", "changes"]
LISTED = {
    "action_type",
    "display_name",
    "description",
    "params",
    "requires_approval",
    "estimated_duration",
    "estimated_cost",
}


def changed(**params: Any) -> Json:
    return body("rerun_dbt", **{**INCREMENTAL["params"], **params})


def test_apl_062_063_065_066_the_list_is_the_registry_what_is_suggested_first(api: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    found = read(api.get(path(incident)))

    assert found["incident_id"] == incident.pk
    assert [action["action_type"] for action in found["available_actions"]] == [
        "rerun_dbt",
        "clear_cache",
        "refresh_dbt_dependencies",
        "refresh_synonyms",
        "rollback_planner",
        "adjust_canary_split",
        "deploy_planner",
    ]
    assert all(action.keys() == LISTED for action in found["available_actions"])
    first, second = found["available_actions"][:2]
    assert first == {
        "action_type": "rerun_dbt",
        "display_name": "Re-run DBT Models",
        "description": "Re-run specified dbt models to refresh data",
        "params": {
            "task_id": "string (required)",
            "models": "array[string] (required)",
            "full_refresh": "boolean (optional, default: false)",
            "upstream": "boolean (optional, default: false)",
            "threads": "integer (optional, default: 4)",
        },
        "requires_approval": False,
        "estimated_duration": "10 minutes",
        "estimated_cost": "$0.10",
    }
    assert second["params"] == {
        "index_name": "string (required)",
        "cache_types": "array[string] (optional, default: all)",
    }
    assert (second["display_name"], second["estimated_duration"], second["estimated_cost"]) == (
        "Clear Elasticsearch Cache",
        "5 seconds",
        "$0",
    )


def test_names_that_are_no_actions_suggest_one_or_nothing(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, playbooks=("analyze_costs", "pause_agent", "deploy_planner", "rerun_eval", "manual"))

    listed = read(api.get(path(incident)))["available_actions"]
    assert [action["action_type"] for action in listed][:4] == [
        "adjust_canary_split",
        "deploy_planner",
        "rerun_dbt",
        "clear_cache",
    ]
    assert len(listed) == 7


def test_apl_067_069_no_list_for_no_incident_and_an_empty_one_when_it_is_closed(
    api: Api, stranger: Api, tenant: Tenant
) -> None:
    refused(api.get(path(999999)), 404, "not_found")
    refused(stranger.get(path(make(tenant))), 404, "not_found")
    closed = moved(tenant, "closed")

    assert read(api.get(path(closed))) == {"incident_id": closed.pk, "available_actions": []}
    refused(dry_run(api, closed, CLEAR), 400, "bad_request")


def test_apl_070_071_a_run_of_one_model_is_described(api: Api, tenant: Tenant) -> None:
    found = read(dry_run(api, make(tenant), INCREMENTAL))

    assert found == {
        "action_type": "rerun_dbt",
        "status": "dry_run_success",
        "message": "Command: dbt run --models inbox_emails --threads 4",
        "details": {"command": "dbt run --models inbox_emails --threads 4", "models": ["inbox_emails"]},
        "estimated_duration": 300,
        "estimated_cost": 0.05,
        "changes": ["Will re-run 1 dbt model", "Model: inbox_emails", "No full refresh (incremental only)"],
        "requires_approval": False,
    }
    assert isinstance(found["estimated_duration"], int)


def test_apl_073_074_two_models_a_full_refresh_and_what_they_depend_on(api: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    two = read(dry_run(api, incident, changed(models=["inbox_emails", "triage_results"])))
    full = read(dry_run(api, incident, changed(full_refresh=True, upstream=True, threads=8)))

    assert (two["estimated_duration"], two["estimated_cost"], two["requires_approval"]) == (600, 0.1, False)
    assert two["changes"][:2] == ["Will re-run 2 dbt models", "Models: inbox_emails, triage_results"]
    assert full["details"]["command"] == "dbt run --models +inbox_emails --full-refresh --threads 8"
    assert full["changes"][2] == "Full refresh (tables are rebuilt)"
    assert (full["requires_approval"], full["estimated_duration"]) == (True, 300)


def test_apl_075_090_nothing_is_carried_out_and_each_dry_run_is_a_row(api: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    first, second = [read(dry_run(api, incident, INCREMENTAL)) for _ in range(2)]

    assert first == second
    assert Execution.objects.count() == 0
    assert [(row["dry_run"], row["status"], row["params"]) for row in history(api, incident)] == [
        (True, "dry_run_success", INCREMENTAL["params"])
    ] * 2


@pytest.mark.parametrize(
    "given",
    [
        body("format_disk"),
        body("manual"),
        {"params": {}},
        {"action_type": 7, "params": {}},
        {"action_type": None, "params": {}},
        {**CLEAR, "params": []},
        {**CLEAR, "params": "x"},
        {**CLEAR, "params": None},
        b"{",
        b"[]",
    ],
    ids=["unknown", "manual", "no-type", "type-7", "type-null", "list", "text", "null", "malformed", "not-an-object"],
)
def test_apl_077_078_what_names_no_action_is_a_bad_request(api: Api, tenant: Tenant, given: Any) -> None:
    refused(dry_run(api, make(tenant), given), 400, "bad_request")
    assert ActionRun.objects.count() == 0


def _without(name: str) -> Json:
    return body("rerun_dbt", **{key: value for key, value in INCREMENTAL["params"].items() if key != name})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (_without("task_id"), "task_id"),
        (_without("models"), "models"),
        (changed(models=[]), "models"),
        (changed(models="x"), "models"),
        (changed(models=["a b"]), "models"),
        (changed(models=["1a"]), "models"),
        (changed(models=["a\n"]), "models"),
        (changed(models=[7]), "models"),
        (changed(models=["a"] * 101), "models"),
        (changed(threads=0), "threads"),
        (changed(threads=65), "threads"),
        (changed(threads="4"), "threads"),
        (changed(threads=True), "threads"),
        (changed(threads=4.5), "threads"),
        (changed(full_refresh="yes"), "full_refresh"),
        (changed(full_refresh=None), "full_refresh"),
        (changed(task_id=""), "task_id"),
        (changed(task_id="  "), "task_id"),
        (changed(task_id="x" * 201), "task_id"),
        (changed(task_id="a\u0007b"), "task_id"),
        (changed(vars="{}"), "vars"),
        (body("clear_cache"), "index_name"),
        ({"action_type": "clear_cache"}, "index_name"),
        (body("clear_cache", index_name="emails", cache_types=["bogus"]), "cache_types"),
        (body("clear_cache", index_name="emails", cache_types=[]), "cache_types"),
        (body("clear_cache", index_name="../x"), "index_name"),
        (body("clear_cache", index_name="*"), "index_name"),
        (body("adjust_canary_split", version="v2", target_percent=150), "target_percent"),
        (body("adjust_canary_split", version="v2", target_percent=-1), "target_percent"),
        (body("adjust_canary_split", version="v2/..", target_percent=1), "version"),
        (body("deploy_planner"), "version"),
        ({**CLEAR, "approved_by": "x"}, "approved_by"),
    ],
    ids=range(32),
)
def test_apl_079_081_085_wrong_parameters_are_named(api: Api, tenant: Tenant, given: Json, field: str) -> None:
    error = refused(dry_run(api, make(tenant), given), 422, "validation_error")

    assert field in error["details"]
    assert ActionRun.objects.count() == 0


def test_apl_081_082_caches(api: Api, tenant: Tenant) -> None:
    found = read(dry_run(api, make(tenant), CLEAR))

    assert found["details"] == {"index_name": "emails", "cache_types": ["query", "request", "fielddata"]}
    assert (found["estimated_duration"], found["estimated_cost"], found["requires_approval"]) == (5, 0, False)


@pytest.mark.parametrize(
    ("given", "duration", "cost", "approval"),
    [
        (body("refresh_synonyms", index_name="emails"), 30, 0, False),
        (body("refresh_synonyms", index_name="emails", synonym_filter="words", reindex=True), 21600, 10, True),
        (body("refresh_dbt_dependencies"), 120, 0.01, False),
        (body("refresh_dbt_dependencies", task_id="task-9"), 120, 0.01, False),
        (body("adjust_canary_split", version="v2", target_percent=25), 600, 0, True),
        (body("adjust_canary_split", version="v2", target_percent=5), 600, 0, False),
        (body("adjust_canary_split", version="v2", target_percent=10), 600, 0, False),
        (body("adjust_canary_split", version="v2", target_percent=5, gradual=False), 60, 0, False),
        (body("adjust_canary_split", version="v9", target_percent=1), 600, 0, True),
        (body("rollback_planner", from_version="v2"), 900, 0, False),
        (body("rollback_planner", from_version="v2", to_version="v0", immediate=True), 30, 0, True),
        (body("deploy_planner", version="v3"), 900, 0, True),
    ],
    ids=range(12),
)
def test_apl_083_085_086_the_numbers_of_each_action(
    api: Api, tenant: Tenant, planner: Server, given: Json, duration: float, cost: float, approval: bool
) -> None:
    found = read(dry_run(api, make(tenant), given))

    assert found.keys() == {*KEYS, "requires_approval"}
    assert (found["estimated_duration"], found["estimated_cost"]) == (duration, cost)
    assert found["requires_approval"] is approval
    assert found["changes"]
    assert found["details"].items() >= given["params"].items() or given["action_type"] == "adjust_canary_split"
    assert planner.state.writes == []


@pytest.mark.parametrize(("left", "goal"), [("v2", "v1"), ("v1", "v0")])
def test_a_rollback_goes_to_the_last_stable_version(
    api: Api, tenant: Tenant, planner: Server, left: str, goal: str
) -> None:
    found = read(dry_run(api, make(tenant), body("rollback_planner", from_version=left)))

    assert found["details"] == {"from_version": left, "to_version": goal, "immediate": False}


def test_a_planner_that_knows_no_version_to_go_back_to(api: Api, tenant: Tenant, planner: Server) -> None:
    planner.state.order = ["v1"]

    error = refused(dry_run(api, make(tenant), body("rollback_planner", from_version="v1")), 422, "validation_error")
    assert "to_version" in error["details"]


def test_a_planner_that_cannot_be_read_is_said_and_kept(api: Api, tenant: Tenant, planner: Server) -> None:
    incident = make(tenant)
    planner.answers.append(json_reply({}, 502))

    error = refused(
        dry_run(api, incident, body("adjust_canary_split", version="v2", target_percent=5)), 500, "internal_error"
    )
    assert error["message"].startswith("The planner cannot be read:")
    assert [row["status"] for row in history(api, incident)] == ["dry_run_failed"]


def test_apl_087_089_no_dry_run_of_another_tenants_incident_or_by_a_viewer(
    api: Api, viewer: Api, stranger: Api, tenant: Tenant
) -> None:
    incident = make(tenant)

    refused(dry_run(api, 999999, CLEAR), 404, "not_found")
    refused(dry_run(stranger, incident, CLEAR), 404, "not_found")
    refused(dry_run(viewer, incident, CLEAR), 403, "forbidden")
    refused(dry_run(Api(), incident, CLEAR), 401, "unauthorized")
    refused(api.get(path(incident, "/dry-run")), 405, "method_not_allowed")
    assert ActionRun.objects.count() == 0


def test_the_101st_dry_run_within_an_hour_is_refused(api: Api, tenant: Tenant) -> None:
    incident, other = make(tenant), make(tenant, "INV_other")
    limit = throttling.Limit
    for _ in range(99):
        throttling.count([limit("applylens-dry-runs", f"{tenant.pk} {incident.pk}", 100, HOUR)])

    refused(dry_run(api, incident, body("clear_cache")), 422, "validation_error")
    last = dry_run(api, incident, CLEAR)
    assert last.status_code == 200
    assert last["X-RateLimit-Limit"] == "1000"
    over = dry_run(api, incident, CLEAR)
    refused(over, 429, "rate_limited")
    assert (over["X-RateLimit-Limit"], over["X-RateLimit-Remaining"]) == ("100", "0")
    assert 0 < int(over["Retry-After"]) <= 3601
    assert dry_run(api, other, CLEAR).status_code == 200
    assert ActionRun.objects.filter(incident=incident).count() == 1
