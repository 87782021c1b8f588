"""GET /api/playbooks/executions/{exec_id} and .../steps"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from executions.models import Execution
from tests.api.s4e.calls import Api, approval, condition, data, delay, error, parallel, read, say, statuses
from tests.api.s4e.held import Held
from tests.connectors.servers import Server

Finish = Callable[[str], Execution]


@pytest.fixture
def ended(api: Api, main: str, slack: Server, jira: Server, finish: Finish) -> str:
    """The shipped playbook, run to its end in 135 s by the shown times."""
    execution = api.started(main)
    found = finish(execution)
    assert found.ended_at is not None
    Execution.objects.filter(pk=found.pk).update(
        created_at=(found.ended_at - timedelta(seconds=135)).replace(microsecond=900_000),
        ended_at=found.ended_at.replace(microsecond=100_000),
    )
    return execution


def test_s4e_061_an_execution_has_the_documented_keys(api: Api, ended: str) -> None:
    told = api.execution(ended)

    assert told.keys() == {
        "execution_id", "playbook_id", "playbook_name", "status", "current_step", "steps_completed", "steps_total",
        "started_at", "completed_at", "duration_seconds",
    }  # fmt: skip
    assert told["playbook_id"] == "pb-critical-vuln-response"
    assert told["playbook_name"] == "Critical Vulnerability Response"


def test_s4e_062_a_completed_execution_counts_all_its_steps(api: Api, ended: str) -> None:
    told = api.execution(ended)

    assert (told["status"], told["current_step"]) == ("completed", None)
    assert told["steps_completed"] == told["steps_total"] == 5
    assert told["duration_seconds"] == 135


def test_s4e_063_a_running_execution_has_a_current_step_and_no_end(api: Api, finish: Finish, held: Held) -> None:
    execution = api.started(api.made(steps=[held.step("a"), say("b")]))

    with held.while_running(lambda: finish(execution)):
        told = api.execution(execution)

    assert (told["status"], told["current_step"]) == ("running", "a")
    assert (told["completed_at"], told["duration_seconds"]) == (None, None)
    assert (told["steps_completed"], told["steps_total"]) == (0, 2)


def test_s4e_078_a_running_step_has_no_end(api: Api, finish: Finish, held: Held) -> None:
    execution = api.started(api.made(steps=[held.step("a"), say("b")]))

    with held.while_running(lambda: finish(execution)):
        first, second = api.steps(execution)

    assert (first["step_id"], first["status"], first["output"], first["completed_at"]) == ("a", "running", None, None)
    assert first["started_at"] is not None
    assert (second["status"], second["started_at"], second["completed_at"]) == ("pending", None, None)


def test_s4e_065_an_execution_that_waits_is_paused(api: Api, finish: Finish) -> None:
    for step in (approval("ask"), delay("wait", 3_600)):
        execution = api.started(api.made(name=f"Wait {step['id']}", steps=[step, say("a")]))
        finish(execution)

        told = api.execution(execution)
        assert (told["status"], told["current_step"]) == ("paused", step["id"])


def test_s4e_066_a_failed_step_ends_the_run_where_it_aborts(api: Api, slack: Server, finish: Finish) -> None:
    execution = api.started(api.made(steps=[say("a", channel="#nowhere"), say("b"), say("c")], on_failure="abort"))
    finish(execution)

    told = api.execution(execution)
    assert told["status"] == "failed"
    assert told["error"].keys() == {"code", "message"}
    assert (told["steps_completed"], told["steps_total"], told["current_step"]) == (0, 3, None)
    assert statuses(api.steps(execution)) == {"a": "failed", "b": "skipped", "c": "skipped"}


def test_s4e_067_a_failed_step_is_passed_over_where_it_continues(api: Api, slack: Server, finish: Finish) -> None:
    execution = api.started(api.made(steps=[say("a", channel="#nowhere"), say("b")], on_failure="continue"))
    finish(execution)

    told = api.execution(execution)
    assert told["status"] == "completed"
    assert told["steps_completed"] == told["steps_total"] == 2
    assert statuses(api.steps(execution)) == {"a": "failed", "b": "completed"}


def test_a_step_has_its_own_failure_strategy(api: Api, slack: Server, finish: Finish) -> None:
    steps = [say("a", channel="#nowhere", on_failure="continue"), say("b"), say("c", channel="#nowhere"), say("d")]
    execution = api.started(api.made(steps=steps))
    finish(execution)

    assert api.execution(execution)["status"] == "failed"
    expected = {"a": "failed", "b": "completed", "c": "failed", "d": "skipped"}
    assert statuses(api.steps(execution)) == expected


def test_s4e_069_an_execution_over_its_time_is_failed(api: Api, finish: Finish) -> None:
    execution = api.started(api.made(steps=[approval("ask"), say("a")], timeout_minutes=1))
    found = finish(execution)
    Execution.objects.filter(pk=found.pk).update(deadline_at=found.created_at)
    finish(execution)

    told = api.execution(execution)
    assert told["status"] == "failed"
    assert told["error"]["code"] == "timed_out"


@pytest.mark.parametrize("id", ["pexec-99999999", "pexec-99999999999999999999", "pexec-" + "9" * 5_000])
def test_s4e_070_an_unknown_execution_is_not_found(api: Api, id: str) -> None:
    error(api.get(f"/api/playbooks/executions/{id}"), 404, "not_found")
    error(api.get(f"/api/playbooks/executions/{id}/steps"), 404, "not_found")


@pytest.mark.parametrize("id", ["exec_abc123", "exec-1", "PEXEC-1", "pexec-", "pexec--1", "1", "pexec-1%0a"])
def test_s4e_071_an_id_of_another_form_is_not_found(api: Api, id: str) -> None:
    error(api.get(f"/api/playbooks/executions/{id}"), 404, "not_found")


def test_another_tenants_execution_answers_like_a_missing_one(api: Api, stranger: Api) -> None:
    execution = api.started(api.made())
    foreign, missing = (stranger.get(f"/api/playbooks/executions/{named}") for named in (execution, "pexec-99999999"))

    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)
    for verb in ("cancel", "pause", "resume"):
        error(stranger.post(f"/api/playbooks/executions/{execution}/{verb}"), 404, "not_found")


def test_s4e_073_without_credentials_there_is_nothing(api: Api) -> None:
    execution = api.started(api.made())

    error(Api().get(f"/api/playbooks/executions/{execution}"), 401, "unauthorized")


def test_s4e_074_steps_are_an_array_without_meta(api: Api, ended: str) -> None:
    told = read(api.get(f"/api/playbooks/executions/{ended}/steps"))

    assert told.keys() == {"data"}
    for step in told["data"]:
        assert step.keys() == {"step_id", "step_name", "type", "status", "output", "started_at", "completed_at"}


def test_s4e_075_steps_stand_in_the_order_of_execution_with_real_outputs(
    api: Api, ended: str, slack: Server, jira: Server
) -> None:
    steps = api.steps(ended)

    assert [step["step_id"] for step in steps] == ["notify", "create-ticket", "share-ticket", "is-urgent", "escalate"]
    assert {step["status"] for step in steps} == {"completed"}
    assert steps[0]["output"]["message_ts"] == slack.state.messages[0]["ts"]
    assert steps[1]["output"]["issue_key"] == jira.state.issues[0]["key"]
    assert steps[3]["type"] == "condition"
    assert steps[0]["step_name"] == "Notify Security Team"


def test_s4e_077_a_failed_step_says_why(api: Api, slack: Server, finish: Finish) -> None:
    execution = api.started(api.made(steps=[say("a", channel="#nowhere")]))
    finish(execution)

    (step,) = api.steps(execution)
    assert (step["status"], step["output"]) == ("failed", None)
    assert step["error"].keys() == {"code", "message"}
    assert step["error"]["code"]
    assert step["error"]["message"]


def test_s4e_079_a_step_that_waits_for_approval_is_waiting(api: Api, finish: Finish) -> None:
    execution = api.started(api.made(steps=[approval("ask"), say("a")]))
    finish(execution)

    assert statuses(api.steps(execution)) == {"ask": "waiting", "a": "pending"}
    assert api.steps(execution)[0]["completed_at"] is None
    assert api.execution(execution)["status"] == "paused"


def test_openers_show_as_steps_of_their_own(api: Api, slack: Server, finish: Finish) -> None:
    steps = [
        parallel("both", ["a", "b"], ["ask"]), say("a"), say("b"), approval("ask"),
        condition("c", "steps.a.status == 'completed'", on_true="yes", on_false="no"),
        say("yes", on_success="end"), say("no"),
    ]  # fmt: skip
    execution = api.started(api.made(steps=steps))
    finish(execution)

    told = api.steps(execution)
    assert statuses(told) == {
        "both": "running", "a": "completed", "b": "completed", "ask": "waiting", "c": "pending", "yes": "pending",
        "no": "pending",
    }  # fmt: skip
    assert api.execution(execution)["current_step"] == "ask"
    assert api.execution(execution)["steps_total"] == 7

    assert api.post(f"/api/playbooks/executions/{execution}/steps/ask/approve").status_code == 200
    finish(execution)
    assert statuses(api.steps(execution)) == {
        "both": "completed", "a": "completed", "b": "completed", "ask": "completed", "c": "completed",
        "yes": "completed", "no": "skipped",
    }  # fmt: skip
    assert data(api.get(f"/api/playbooks/executions/{execution}"))["steps_completed"] == 7


def test_the_documented_url_forms_take_a_slash(api: Api, ended: str) -> None:
    assert read(api.get(f"/api/playbooks/executions/{ended}/")) == read(api.get(f"/api/playbooks/executions/{ended}"))


def test_steps_that_did_not_start_stand_in_definition_order(api: Api, finish: Finish) -> None:
    names = ["zz", "a", "mmmm", "b-long-name", "c"]
    execution = api.started(api.made(steps=[approval("ask"), *(say(name) for name in names)]))
    finish(execution)

    assert [step["step_id"] for step in api.steps(execution)] == ["ask", *names]
