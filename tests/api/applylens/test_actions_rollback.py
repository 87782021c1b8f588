"""An action that can be undone is undone by the one that compensates it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant, User
from incidents.action_models import ActionRun
from incidents.models import Incident
from tests.api.applylens.acting import body, execute, history, roll_back, stored
from tests.api.applylens.calls import ENGINEER, Api, Json, make, moved, read, refused, told
from tests.connectors.servers import Server, json_reply

#: the fixture by its name, too: leases are kept where it stands
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]

APPROVED = {"approved_by": ENGINEER}


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return make(tenant)


def done(api: Api, incident: Incident, action_type: str, **params: Any) -> Json:
    return read(execute(api, incident, {**body(action_type, **params), **APPROVED}))


def test_apl_117_a_rollback_of_the_planner_is_a_deployment(
    api: Api, tenant: Tenant, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    first = done(api, incident, "rollback_planner", from_version="v2")
    assert (first["message"], first["rollback_available"]) == ("Rolled back to v1", True)

    found = read(roll_back(api, incident, first["action_id"], APPROVED))

    assert found == {
        "action_id": found["action_id"],
        "action_type": "deploy_planner",
        "status": "success",
        "message": "Rolled back to v2",
        "rollback_of": first["action_id"],
    }
    assert planner.state.percents["v2"] == 10
    rows = history(api, incident)
    assert [(row["id"], row["action_type"]) for row in rows] == [
        (first["action_id"], "rollback_planner"),
        (found["action_id"], "deploy_planner"),
    ]
    assert [event["action_id"] for event in told(tenant, "action_executed")] == [row["id"] for row in rows]


def test_apl_115_a_canary_split_goes_back(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    first = done(api, incident, "adjust_canary_split", version="v2", target_percent=25)
    assert planner.state.percents["v2"] == 25

    found = read(roll_back(api, incident, first["action_id"]))

    assert (found["action_type"], found["message"]) == ("adjust_canary_split", "Rolled back to 10")
    assert planner.state.percents["v2"] == 10


def test_a_split_that_was_lowered_is_raised_again_with_approval_only(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    first = done(api, incident, "adjust_canary_split", version="v2", target_percent=0)

    refused(roll_back(api, incident, first["action_id"]), 403, "forbidden")
    assert read(roll_back(api, incident, first["action_id"], APPROVED))["message"] == "Rolled back to 10"


def test_a_deployment_goes_back_to_the_version_before(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    first = done(api, incident, "deploy_planner", version="v3", canary_percent=50)
    assert first["details"] == {"version": "v3", "canary_percent": 50, "previous_version": "v1"}

    found = read(roll_back(api, incident, first["action_id"]))

    assert (found["action_type"], found["message"]) == ("rollback_planner", "Rolled back to v1")
    assert (planner.state.percents["v3"], planner.state.percents["v1"]) == (0, 100)


def test_apl_109_111_what_cannot_be_rolled_back(api: Api, tenant: Tenant, incident: Incident) -> None:
    back = {"action_type": "deploy_planner", "params": {"version": "v2"}, "to": "v2"}
    rows = [
        stored(incident, "rerun_dbt"),
        stored(incident, "clear_cache", status="dry_run_success", dry_run=True, compensation=back),
        stored(incident, "rollback_planner", status="failed", compensation=back),
        stored(incident, "rollback_planner", status="running", completed_at=None, compensation=back),
    ]
    for row in rows:
        refused(roll_back(api, incident, row.pk, APPROVED), 400, "bad_request")
    closed = moved(tenant, "closed")
    row = stored(closed, "rollback_planner", compensation=back)
    refused(roll_back(api, closed, row.pk, APPROVED), 400, "bad_request")
    assert ActionRun.objects.count() == 5


def test_apl_110_the_action_must_be_one_of_the_incident(
    api: Api, viewer: Api, stranger: Api, tenant: Tenant, incident: Incident
) -> None:
    row = stored(incident, "rollback_planner")
    other = make(tenant, "INV_other")

    for caller, number, action in (
        (api, incident.pk, 999999),
        (api, other.pk, row.pk),
        (api, 999999, row.pk),
        (stranger, incident.pk, row.pk),
    ):
        refused(roll_back(caller, number, action), 404, "not_found")
    refused(roll_back(viewer, incident, row.pk), 403, "forbidden")
    assert refused(roll_back(api, incident, 999999), 404, "not_found")["message"] == "Action not found"
    refused(roll_back(api, incident, row.pk, {"approved_by": 7}), 422, "validation_error")
    refused(roll_back(api, incident, row.pk, {"to": "v1"}), 422, "validation_error")
    refused(roll_back(api, incident, row.pk, b"{"), 400, "bad_request")


def test_apl_113_a_rollback_that_fails_leaves_the_original_as_it_was(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    action = done(api, incident, "rollback_planner", from_version="v2")["action_id"]
    before = ActionRun.objects.values().get(pk=action)
    planner.answers.extend([json_reply(planner.state.listed()), json_reply({"message": "busy"}, 409)])

    refused(roll_back(api, incident, action, APPROVED), 500, "internal_error")

    assert ActionRun.objects.values().get(pk=action) == before
    assert [row["status"] for row in history(api, incident)] == ["success", "failed"]
    assert read(roll_back(api, incident, action, APPROVED))["status"] == "success"


def test_a_planner_that_cannot_be_read_fails_the_rollback(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    action = done(api, incident, "rollback_planner", from_version="v2")["action_id"]
    planner.answers.append(json_reply({}, 502))

    refused(roll_back(api, incident, action, APPROVED), 500, "internal_error")
    assert [row["status"] for row in history(api, incident)] == ["success", "failed"]


def test_apl_114_the_compensating_action_asks_for_its_own_approval(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    action = done(api, incident, "rollback_planner", from_version="v2")["action_id"]
    writes = len(planner.state.writes)

    refused(roll_back(api, incident, action, {}), 403, "forbidden")
    refused(roll_back(api, incident, action), 403, "forbidden")
    assert len(planner.state.writes) == writes
    assert ActionRun.objects.count() == 1


def test_apl_111_a_second_rollback_is_refused_and_a_repeated_one_answered_again(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    action = done(api, incident, "rollback_planner", from_version="v2")["action_id"]

    first, second = [read(roll_back(api, incident, action, APPROVED, Idempotency_Key="back")) for _ in range(2)]

    assert first == second
    refused(roll_back(api, incident, action, APPROVED), 400, "bad_request")
    refused(roll_back(api, incident, action, APPROVED, Idempotency_Key="again"), 400, "bad_request")
    assert ActionRun.objects.count() == 2
