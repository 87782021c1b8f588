"""POST /api/playbooks/executions/{exec_id}/cancel, /pause, /resume, and the decisions of people."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.models import Tenant
from executions.models import Execution
from tests.api.s4e.calls import Api, approval, data, delay, error, parallel, say, statuses
from tests.api.s4e.held import Held
from tests.connectors.servers import Server

Finish = Callable[[str], Execution]


def steer(api: Api, execution: str, verb: str) -> dict[str, object]:
    return dict(data(api.post(f"/api/playbooks/executions/{execution}/{verb}")))


@pytest.fixture
def ended(api: Api, slack: Server, finish: Finish) -> str:
    execution = api.started(api.made(name="Ended", steps=[say("a")]))
    finish(execution)
    assert api.execution(execution)["status"] == "completed"
    return execution


def test_s4e_106_a_cancelled_execution_starts_no_later_step(
    api: Api, slack: Server, finish: Finish, held: Held
) -> None:
    execution = api.started(api.made(steps=[held.step("a"), say("b")]))
    with held.while_running(lambda: finish(execution)):
        assert api.post(f"/api/playbooks/executions/{execution}/cancel").status_code == 200
    finish(execution)

    told = api.execution(execution)
    assert told["status"] == "cancelled"
    assert told["completed_at"] is not None
    assert statuses(api.steps(execution))["b"] == "skipped"
    assert slack.requests == []


def test_s4e_106_an_execution_that_waits_is_cancelled_at_once(api: Api, finish: Finish) -> None:
    execution = api.started(
        api.made(steps=[parallel("p", ["ask"], ["wait"]), approval("ask"), delay("wait", 900), say("a")])
    )
    finish(execution)

    assert steer(api, execution, "cancel")["status"] == "cancelled"
    told = statuses(api.steps(execution))
    assert told["a"] == "skipped"
    assert told["ask"] == told["wait"] == "failed"
    assert api.steps(execution)[1]["error"]["code"] == "cancelled"
    error(api.post(f"/api/playbooks/executions/{execution}/steps/ask/approve"), 409, "conflict")


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_s4e_107_s4e_110_a_final_execution_is_not_steered(api: Api, ended: str, verb: str) -> None:
    error(api.post(f"/api/playbooks/executions/{ended}/{verb}"), 409, "conflict")


def test_a_cancelled_execution_is_not_cancelled_again(api: Api, finish: Finish) -> None:
    execution = api.started(api.made(steps=[approval("ask")]))
    finish(execution)
    steer(api, execution, "cancel")

    error(api.post(f"/api/playbooks/executions/{execution}/cancel"), 409, "conflict")


def test_s4e_109_a_held_execution_goes_on_when_resumed(api: Api, slack: Server, finish: Finish) -> None:
    execution = api.started(api.made(steps=[say("a")]))

    assert steer(api, execution, "pause")["status"] == "paused"
    assert steer(api, execution, "pause")["status"] == "paused"
    finish(execution)
    assert slack.requests == []
    assert steer(api, execution, "resume")["status"] in ("pending", "running")
    assert steer(api, execution, "resume")["status"] in ("pending", "running")
    finish(execution)
    assert api.execution(execution)["status"] == "completed"


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_viewer_steers_nothing(api: Api, viewer: Api, verb: str) -> None:
    execution = api.started(api.made())

    error(viewer.post(f"/api/playbooks/executions/{execution}/{verb}"), 403, "forbidden")
    error(api.get(f"/api/playbooks/executions/{execution}/{verb}"), 405, "method_not_allowed")
    error(api.post(f"/api/playbooks/executions/pexec-99999999/{verb}"), 404, "not_found")


@pytest.fixture
def waiting(api: Api, slack: Server, finish: Finish) -> str:
    steps = [
        approval("ask", on_approved="yes", on_rejected="no"), say("yes", on_success="end"), say("no", on_success="end"),
        say("other"),
    ]  # fmt: skip
    execution = api.started(api.made(steps=steps))
    finish(execution)
    return execution


def test_s4e_111_an_approval_takes_the_approved_path(api: Api, waiting: str, finish: Finish) -> None:
    told = data(api.post(f"/api/playbooks/executions/{waiting}/steps/ask/approve", {"comment": "ok"}))
    finish(waiting)

    assert told.keys() == {"execution_id", "step_id", "decision", "decided_by", "decided_at"}
    assert (told["execution_id"], told["step_id"], told["decision"]) == (waiting, "ask", "approved")
    assert statuses(api.steps(waiting)) == {"ask": "completed", "yes": "completed", "no": "skipped", "other": "skipped"}
    assert api.steps(waiting)[0]["output"] == {"decision": "approved", "decided_by": told["decided_by"]}
    assert api.execution(waiting)["status"] == "completed"


def test_a_rejection_takes_the_rejected_path(api: Api, waiting: str, finish: Finish) -> None:
    told = data(api.post(f"/api/playbooks/executions/{waiting}/steps/ask/reject"))
    finish(waiting)

    assert told["decision"] == "rejected"
    assert statuses(api.steps(waiting)) == {"ask": "completed", "yes": "skipped", "no": "completed", "other": "skipped"}
    assert api.steps(waiting)[0]["output"]["decision"] == "rejected"
    assert api.execution(waiting)["status"] == "completed"


def test_a_rejection_without_a_path_is_a_failed_step(api: Api, finish: Finish) -> None:
    execution = api.started(api.made(steps=[approval("ask"), say("a")]))
    finish(execution)
    data(api.post(f"/api/playbooks/executions/{execution}/steps/ask/reject", {"comment": "too risky"}))
    finish(execution)

    assert api.execution(execution)["status"] == "failed"
    first, second = api.steps(execution)
    assert (first["status"], first["error"]["code"]) == ("failed", "rejected")
    assert "too risky" in first["error"]["message"]
    assert second["status"] == "skipped"


def test_an_approval_that_expires_is_a_failed_step_though_there_is_a_rejected_path(
    api: Api, waiting: str, finish: Finish
) -> None:
    from executions.models import StepRun
    from manual.models import ManualRequest

    run = StepRun.objects.get(step_id="ask")
    past = run.created_at
    ManualRequest.objects.filter(step_run_id=run.pk).update(deadline_at=past)
    StepRun.objects.filter(pk=run.pk).update(deadline_at=past)
    finish(waiting)

    assert api.execution(waiting)["status"] == "failed"
    assert statuses(api.steps(waiting)) == {"ask": "failed", "yes": "skipped", "no": "skipped", "other": "skipped"}
    assert api.steps(waiting)[0]["error"]["code"] == "timed_out"
    error(api.post(f"/api/playbooks/executions/{waiting}/steps/ask/approve"), 409, "conflict")


def test_s4e_113_a_decided_step_is_a_conflict(api: Api, waiting: str, finish: Finish) -> None:
    path = f"/api/playbooks/executions/{waiting}/steps/ask"
    data(api.post(f"{path}/approve"))

    error(api.post(f"{path}/approve"), 409, "conflict")
    error(api.post(f"{path}/reject"), 409, "conflict")


@pytest.mark.parametrize("step", ["yes", "other"])
def test_s4e_113_a_step_that_does_not_wait_is_a_conflict(api: Api, waiting: str, step: str) -> None:
    error(api.post(f"/api/playbooks/executions/{waiting}/steps/{step}/approve"), 409, "conflict")


@pytest.mark.parametrize("step", ["nope", "start:", "end:main", "ASK", "x" * 256, "%00"])
def test_s4e_113_an_unknown_step_is_not_found(api: Api, waiting: str, step: str) -> None:
    error(api.post(f"/api/playbooks/executions/{waiting}/steps/{step}/approve"), 404, "not_found")


def test_s4e_113_only_those_who_may_decide(
    api: Api, tenant: Tenant, waiting: str, caller: Callable[..., Api], stranger: Api
) -> None:
    path = f"/api/playbooks/executions/{waiting}/steps/ask/approve"

    error(caller(tenant, "soc_analyst").post(path), 403, "forbidden")
    error(stranger.post(path), 404, "not_found")
    assert statuses(api.steps(waiting))["ask"] == "waiting"
    assert data(caller(tenant, "approver").post(path))["decision"] == "approved"


def test_an_approval_is_put_to_its_approvers(
    api: Api, tenant: Tenant, finish: Finish, caller: Callable[..., Api]
) -> None:
    execution = api.started(api.made(steps=[approval("ask", approvers=["soc_lead"])]))
    finish(execution)
    path = f"/api/playbooks/executions/{execution}/steps/ask/approve"

    error(caller(tenant, "approver").post(path), 403, "forbidden")
    assert data(caller(tenant, "soc_lead").post(path))["decision"] == "approved"


def test_a_comment_is_text_of_at_most_2000_characters(api: Api, waiting: str) -> None:
    path = f"/api/playbooks/executions/{waiting}/steps/ask/approve"

    error(api.post(path, {"comment": 7}), 422, "validation_error")
    error(api.post(path, {"comment": "x" * 2_001}), 422, "validation_error")
    error(api.post(path, {"approved": True}), 422, "validation_error")
    error(api.post(path, []), 400, "bad_request")
    assert statuses(api.steps(waiting))["ask"] == "waiting"


def test_reading_answers_nothing(api: Api, waiting: str) -> None:
    for method in ("GET", "HEAD"):
        response = api.send(method, f"/api/playbooks/executions/{waiting}/steps/ask/approve")
        assert response.status_code == 405
    assert statuses(api.steps(waiting))["ask"] == "waiting"


def test_the_same_approval_is_listed_elsewhere_and_one_answer_counts(api: Api, waiting: str) -> None:
    import json

    listed = json.loads(api.get("/manual").content)
    assert [item["command"] for item in listed] == ["Go on?"]

    data(api.post(f"/api/playbooks/executions/{waiting}/steps/ask/approve"))
    assert json.loads(api.get("/manual").content) == []
