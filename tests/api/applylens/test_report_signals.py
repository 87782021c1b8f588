"""POST /api/incidents/signals."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant
from incidents.models import Incident
from tests.api.applylens.calls import Api, read, refused, told

BUDGET = {
    "type": "budget", "agent": "inbox", "budget_type": "cost", "threshold": 100, "actual": 150, "severity": "critical",
}  # fmt: skip
INVARIANT = {"type": "invariant", "id": "data_freshness_inbox", "priority": "critical"}
PLANNER = {"type": "planner", "version": "v3", "metric": "accuracy", "current": 0.8, "baseline": 0.9}


def test_a_budget_that_is_overrun(api: Api, tenant: Tenant) -> None:
    found = read(api.post("/api/incidents/signals", BUDGET), 201)

    assert (found["kind"], found["key"], found["severity"]) == ("budget", "BUDGET_inbox_cost", "sev1")
    assert (found["details"]["overage"], found["details"]["overage_pct"]) == (50, 50.0)
    assert found["details"]["violation"].keys() == {
        "agent", "budget_type", "threshold", "actual", "severity", "message", "date",
    }  # fmt: skip
    assert found["playbooks"] == ["rerun_eval", "adjust_canary_split"]
    known = {"auto_created": True, "source": "gate_bridge", "agent": "inbox", "budget_type": "cost"}
    assert known.items() <= found["metadata"].items()
    assert len(told(tenant, "incident_created")) == 1


def test_an_invariant_that_does_not_hold(api: Api) -> None:
    body = INVARIANT | {"threshold": 300, "actual": 1800, "failure_message": "Data freshness violation"}

    found = read(api.post("/api/incidents/signals", body), 201)

    assert (found["key"], found["severity"]) == ("INV_data_freshness_inbox", "sev1")
    assert found["details"] == {"invariant": {"id": "data_freshness_inbox", "threshold": 300, "actual": 1800}}
    assert (found["summary"], found["playbooks"]) == ("Data freshness violation", ["rerun_eval", "rerun_dbt"])


def test_a_planner_that_got_worse(api: Api) -> None:
    found = read(api.post("/api/incidents/signals", PLANNER | {"rollback_available": True}), 201)

    assert (found["key"], found["severity"]) == ("PLANNER_REG_v3", "sev1")
    assert found["details"]["metrics"] == {"current": {"accuracy": 0.8}, "baseline": {"accuracy": 0.9}}
    assert (found["details"]["rollback_available"], found["metadata"]["version"]) == (True, "v3")


def test_the_same_signal_again_makes_no_second_until_it_is_over(api: Api) -> None:
    number = read(api.post("/api/incidents/signals", INVARIANT), 201)["id"]

    assert read(api.post("/api/incidents/signals", INVARIANT))["deduplicated"] is True
    read(api.post(f"/api/incidents/{number}/mitigate"))
    read(api.post(f"/api/incidents/{number}/resolve"))
    assert read(api.post("/api/incidents/signals", INVARIANT), 201)["id"] != number


def test_a_list_of_signals(api: Api) -> None:
    rows = [BUDGET, INVARIANT, PLANNER, BUDGET, {"type": "weather"}]

    found = read(api.post("/api/incidents/signals", {"signals": rows}))

    assert [found[name] for name in ("created", "deduplicated", "suppressed", "invalid")] == [3, 1, 0, 1]
    assert found["results"][4]["error"]["details"].keys() == {"type"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"type": "weather"}, {"type"}),
        ({}, {"type"}),
        ({"type": "invariant"}, {"id", "priority"}),
        (INVARIANT | {"threshold": "300"}, {"threshold"}),
        (INVARIANT | {"id": "x" * 125}, {"id"}),
        (INVARIANT | {"version": "v1"}, {"version"}),
        (BUDGET | {"severity": "high"}, {"severity"}),
        (BUDGET | {"actual": True}, {"actual"}),
        (BUDGET | {"actual": 10**400}, {"actual"}),
        (BUDGET | {"agent": "a" * 100, "budget_type": "b" * 100}, {"budget_type"}),
        (BUDGET | {"context": 5}, {"context"}),
        (PLANNER | {"rollback_available": "yes"}, {"rollback_available"}),
        (PLANNER | {"source": ""}, {"source"}),
    ],
)
def test_a_signal_that_cannot_be_read_is_refused(
    api: Api, tenant: Tenant, body: dict[str, Any], fields: set[str]
) -> None:
    error = refused(api.post("/api/incidents/signals", body), 422, "validation_error")

    assert error["details"].keys() == fields
    assert not Incident.objects.filter(tenant=tenant).exists()


def test_a_key_repeats_the_answer_here_too(api: Api) -> None:
    first, second = (read(api.post("/api/incidents/signals", BUDGET, Idempotency_Key="k"), 201) for _ in range(2))

    assert first == second
