"""SOA-125: an approval of a playbook of another family is asked for, and answered, here too."""

from __future__ import annotations

import pytest

from accounts.models import Tenant
from executions.models import StepRun
from tests.api.soarca.calls import Api, Waiting, assert_error, make_caller, read, run

pytestmark = pytest.mark.django_db

PLAYBOOK = {
    "name": "Ask before acting",
    "version": "1.0.0",
    "trigger": {"event": "manual"},
    "steps": [{"id": "may_we", "type": "approval", "message": "Block the address?", "on_approved": "end"}],
}


@pytest.fixture
def asked(api: Api) -> Waiting:
    created = api.post("/api/playbooks", PLAYBOOK)
    assert created.status_code == 201, created.content
    started = api.post(f"/api/playbooks/{read(created)['data']['id']}/run", {})
    assert started.status_code in (200, 201, 202), started.content
    execution = StepRun.objects.values_list("execution_id", flat=True).first()
    run(str(execution))
    [item] = read(api.get("/manual"))
    return Waiting(execution=item["execution_id"], playbook=item["playbook_id"], step=item["step_id"])


def test_an_approval_is_listed_with_its_message_and_no_variables(api: Api, asked: Waiting) -> None:
    item = read(api.get(asked.path))

    assert item["command"] == "Block the address?"
    assert item["out_args"] == {}
    assert item["playbook_id"].startswith("playbook--")
    assert item["step_id"].startswith("action--")


def test_a_step_of_another_dialect_is_found_by_each_of_its_names(api: Api, asked: Waiting) -> None:
    for name in (asked.step, asked.step.removeprefix("action--").upper(), "may_we"):
        assert read(api.get(f"/manual/{asked.execution}/{name}"))["step_id"] == asked.step
    assert_error(api.get(f"/manual/{asked.execution}/may_we_not"), 404)


def test_the_playbook_and_the_report_name_the_step_alike(api: Api, asked: Waiting) -> None:
    [document] = read(api.get("/playbook"))
    report = read(api.get(f"/reporter/{asked.execution}"))

    assert document["id"] == report["playbook_id"] == asked.playbook
    assert asked.step in document["workflow"]
    assert list(report["step_results"]) == [asked.step]


@pytest.mark.parametrize(("status", "becomes"), [("success", "completed"), ("failure", "failed")])
def test_soa_125_the_answer_approves_or_rejects(api: Api, asked: Waiting, status: str, becomes: str) -> None:
    body = asked.answer(response_status=status, response_out_args={})

    assert api.post("/manual/continue", body).status_code == 200
    run(asked.execution)

    step = StepRun.objects.get(execution_id=asked.execution, step_id="may_we")
    assert step.status == becomes
    assert step.reason == ("rejected" if status == "failure" else "")
    assert_error(api.post("/manual/continue", body), 404)


def test_an_approval_takes_its_own_permission(api: Api, tenant: Tenant, asked: Waiting) -> None:
    analyst, approver = make_caller(tenant, "soc_analyst"), make_caller(tenant, "approver")
    body = asked.answer(response_out_args={})

    assert_error(analyst.post("/manual/continue", body), 403, says="approvals:decide")
    assert approver.post("/manual/continue", body).status_code == 200
