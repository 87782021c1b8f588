"""One run, several faces: what this family starts is seen in the others, under an id of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accounts.models import Tenant
from api.olorin import ids
from executions.models import Execution
from tests.api.olorin.calls import EXECUTE, body
from tests.api.olorin.calls import read as answered
from tests.api.olorin.test_get_execution import shown
from tests.api.s4e.calls import Api, read, say

Finish = Callable[[str], Execution]


def faces(api: Api, execution: str) -> dict[str, Any]:
    """What each family that is built says of an execution."""
    found = Execution.objects.get()
    assert found.number == ids.execution_number(execution)
    s4e = api.execution(f"pexec-{found.number}")
    report = read(api.get(f"/reporter/{found.pk}"))
    return {
        "s4e": s4e["status"],
        "olorin": shown(api, execution)["status"],
        "soarca": report["status"],
        "text": report["status_text"],
        "native": read(api.get(f"/api/native/executions/{found.pk}"))["status"],
    }


def test_all_033_a_run_is_one_execution_with_an_id_of_each_family(api: Api, running: str, tenant: Tenant) -> None:
    found = Execution.objects.get(tenant=tenant)

    assert shown(api, running)["execution_id"] == running
    assert api.execution(f"pexec-{found.number}")["execution_id"] == f"pexec-{found.number}"
    assert read(api.get(f"/reporter/{found.pk}"))["execution_id"] == str(found.pk)
    assert read(api.get(f"/api/native/executions/{found.pk}"))["id"] == str(found.pk)


def test_all_033_what_other_families_start_is_seen_here(api: Api, waiting: str) -> None:
    number = int(api.started(waiting).removeprefix("pexec-"))

    assert shown(api, ids.execution_id(number))["status"] == "running"


def test_all_034_an_id_counts_in_its_own_family_only(api: Api, running: str) -> None:
    number = ids.execution_number(running)

    assert api.get(f"/api/playbooks/executions/{running}").status_code == 404
    assert api.get(f"/reporter/{running}").status_code in (400, 404)
    path = "/api/soar/playbooks/executions/{}?tenant_id=tenant_123"
    assert api.get(path.format(f"pexec-{number}")).status_code == 404


def test_all_035_paused_for_approval_is_running_here_and_goes_on_once(api: Api, running: str, finish: Finish) -> None:
    assert finish(running).status == "paused"
    told = faces(api, running)
    assert (told["s4e"], told["olorin"], told["soarca"], told["native"]) == ("paused", "running", "ongoing", "paused")

    path = f"/api/playbooks/executions/pexec-{ids.execution_number(running)}/steps/ask/approve"
    assert [api.post(path).status_code for _ in range(2)] == [200, 409]
    finish(running)
    told = faces(api, running)
    assert (told["s4e"], told["olorin"], told["soarca"]) == ("completed", "completed", "successfully_executed")


def test_all_037_a_cancel_during_a_step_starts_no_later_one(
    api: Api, tenant: Tenant, held: Any, finish: Finish, server: Any, connect: Callable[..., Any]
) -> None:
    connect(tenant, "slack")
    api.made(name="Fraud response critical", steps=[held.step("slow"), say("late")])
    execution = str(answered(api.post(EXECUTE, body()), 202)["execution_id"])
    number = ids.execution_number(execution)
    with held.while_running(lambda: finish(execution)):
        assert api.post(f"/api/playbooks/executions/pexec-{number}/cancel").status_code == 200
    finish(execution)

    told = faces(api, execution)
    assert (told["s4e"], told["olorin"], told["soarca"]) == ("cancelled", "cancelled", "failed")
    assert "cancel" in told["text"]
    assert server.requests == []
    assert all(each["toolkit"] != "slack" for each in shown(api, execution)["actions_executed"])


def test_all_023_every_time_ends_in_z(api: Api, running: str) -> None:
    told = shown(api, running)

    assert all(told[name].endswith("Z") for name in ("started_at",))
    assert told["completed_at"] is None


def test_all_029_030_lists_show_no_other_tenants_rows(
    api: Api, stranger: Api, running: str, connect: Callable[..., Any], tenant: Tenant
) -> None:
    connect(tenant, "stripe")

    assert answered(stranger.get("/api/composio/connections?tenant_id=tenant_999")) == {"connections": [], "total": 0}
