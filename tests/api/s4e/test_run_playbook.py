"""POST /api/playbooks/{id}/run"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Tenant
from executions.models import Execution
from playbooks.models import Playbook
from playbooks.services import put_asset
from tests.api.s4e.calls import Api, Json, approval, body, condition, data, delay, error, invalid, read, say, statuses
from tests.connectors.servers import Server

Finish = Callable[[str], Execution]


@pytest.mark.parametrize("given", [{}, None, b""])
def test_s4e_049_a_run_needs_no_body(api: Api, main: str, given: Any) -> None:
    told = data(api.post(f"/api/playbooks/{main}/run", given))

    assert told.keys() >= {"execution_id", "playbook_id", "status", "started_at"}
    assert told["execution_id"].startswith("pexec-")
    assert told["playbook_id"] == main
    assert told["status"] in ("pending", "running")
    assert told["stream"] == f"/ws/executions/{told['execution_id']}"


def test_s4e_050_a_parameter_reaches_the_step_that_reads_it(
    api: Api, main: str, slack: Server, jira: Server, finish: Finish
) -> None:
    given = {"target_asset_id": "a-1001", "parameters": {"notification_channel": "#incidents"}, "dry_run": False}
    execution = api.started(main, given)
    finish(execution)

    assert api.execution(execution)["status"] == "completed"
    assert {message["channel"] for message in slack.state.messages} == {"C0INCIDENT"}


def test_without_the_parameter_its_default_counts(
    api: Api, main: str, slack: Server, jira: Server, finish: Finish
) -> None:
    finish(api.started(main))

    assert {message["channel"] for message in slack.state.messages} == {"C0SECALERT"}


def test_a_parameter_replaces_that_key_in_every_step(api: Api, slack: Server, finish: Finish) -> None:
    playbook = api.made(steps=[say("a", "{{ finding.title }}"), say("b", "plain")])
    execution = api.started(playbook, {"parameters": {"message": "given {{ x }}"}})
    finish(execution)

    assert api.execution(execution)["status"] == "completed"
    assert [message["text"] for message in slack.state.messages] == ["given {{ x }}"] * 2


def test_s4e_051_a_dry_run_calls_no_connector(api: Api, slack: Server, jira: Server, finish: Finish) -> None:
    steps = [
        say("a"), approval("ask"), delay("wait", 86_400),
        condition("c", "parameters.n == 1", on_true="b", on_false="end"), say("b", "{{ parameters.n }}"), say("z"),
    ]  # fmt: skip
    playbook = api.made(steps=steps)
    execution = api.started(playbook, {"dry_run": True, "parameters": {"n": 1}})
    finish(execution)

    shown, told = api.execution(execution), api.steps(execution)
    assert (shown["status"], shown["dry_run"]) == ("completed", True)
    assert set(statuses(told).values()) == {"completed"}
    assert [step["output"] for step in told if step["type"] == "action"] == [{"simulated": True}] * 3
    assert slack.state.messages == []
    assert slack.requests == []


@pytest.mark.parametrize("given", ["a-9999", "9999", "b-1001", "a-", "", "a-\u0661"])
def test_s4e_053_an_unknown_asset_is_refused(api: Api, main: str, given: str) -> None:
    invalid(api.post(f"/api/playbooks/{main}/run", {"target_asset_id": given}), "target_asset_id")


def test_s4e_053_another_tenants_asset_is_unknown(api: Api, main: str, other_tenant: Tenant) -> None:
    put_asset(tenant=other_tenant, reference="a-2002", data={})

    invalid(api.post(f"/api/playbooks/{main}/run", {"target_asset_id": "a-2002"}), "target_asset_id")


def test_the_asset_is_what_templates_read(api: Api, main: str, slack: Server, finish: Finish) -> None:
    playbook = api.made(steps=[say("a", "{{ asset.id }} is {{ asset.name }}")])
    finish(api.started(playbook, {"target_asset_id": "a-1001"}))

    assert slack.state.messages[0]["text"] == "a-1001 is web-frontend-01"


def test_s4e_054_an_unknown_parameter_is_named(api: Api, main: str) -> None:
    invalid(api.post(f"/api/playbooks/{main}/run", {"parameters": {"no_such_name": 1}}), "parameters.no_such_name")
    assert not Execution.objects.exists()


@pytest.mark.parametrize("name", ["named", "channel", "read", "asked", "compared"])
def test_s4e_054_a_parameter_is_an_input_a_key_or_what_a_template_reads(api: Api, name: str) -> None:
    steps = [
        say("a", "{{ parameters.read }}"),
        approval("b", message="{{ parameters.asked }}"),
        condition("c", "parameters.compared == 1", on_true="end"),
    ]
    playbook = api.made(steps=steps, inputs={"named": {"type": "Number"}})

    assert api.post(f"/api/playbooks/{playbook}/run", {"parameters": {name: 1}}).status_code == 200


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"dry_run": "yes"}, "dry_run"),
        ({"parameters": []}, "parameters"),
        ({"target_asset_id": 7}, "target_asset_id"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_body_of_another_kind_is_refused(api: Api, main: str, given: Json, path: str) -> None:
    invalid(api.post(f"/api/playbooks/{main}/run", given), path)


def test_a_required_input_needs_a_value_of_its_type(api: Api) -> None:
    playbook = api.made(inputs={"who": {"type": "String", "required": True}})

    invalid(api.post(f"/api/playbooks/{playbook}/run"), "parameters.who")
    invalid(api.post(f"/api/playbooks/{playbook}/run", {"parameters": {"who": 7}}), "parameters.who")
    assert api.post(f"/api/playbooks/{playbook}/run", {"parameters": {"who": "me"}}).status_code == 200


def test_s4e_055_an_unknown_playbook_is_not_found(api: Api) -> None:
    error(api.post("/api/playbooks/pb-nope/run"), 404, "not_found")


def test_another_tenants_playbook_is_not_found(stranger: Api, main: str) -> None:
    error(stranger.post(f"/api/playbooks/{main}/run"), 404, "not_found")


def test_s4e_057_a_viewer_may_not_run(viewer: Api, main: str) -> None:
    error(viewer.post(f"/api/playbooks/{main}/run"), 403, "forbidden")


def test_s4e_058_a_disabled_playbook_is_not_run(api: Api, main: str) -> None:
    Playbook.objects.update(is_enabled=False)

    error(api.post(f"/api/playbooks/{main}/run"), 409, "conflict")
    assert data(api.get(f"/api/playbooks/{main}"))["id"] == main


@pytest.mark.django_db(transaction=True)
def test_s4e_059_two_runs_at_once_are_two_executions(transactional_db: None, api: Api, main: str) -> None:
    answers = _at_once(2, lambda: api.post(f"/api/playbooks/{main}/run", {}))

    assert [status for status, _ in answers] == [200, 200]
    assert len({told["data"]["execution_id"] for _, told in answers}) == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_once_is_one_execution(transactional_db: None, api: Api, main: str) -> None:
    answers = _at_once(8, lambda: api.post(f"/api/playbooks/{main}/run", {}, Idempotency_Key="once"))

    assert [status for status, _ in answers] == [200] * 8
    assert all(told == answers[0][1] for _, told in answers)
    assert Execution.objects.count() == 1


def _at_once(number: int, call: Callable[[], Any]) -> list[tuple[int, Any]]:
    from django.db import connection

    answers: list[tuple[int, Any]] = []
    gate = threading.Barrier(number)

    def go() -> None:
        gate.wait()
        try:
            response = call()
            answers.append((response.status_code, read(response)))
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_key_is_for_one_body_and_one_playbook(api: Api, main: str) -> None:
    other = api.made()
    first = api.post(f"/api/playbooks/{main}/run", {}, Idempotency_Key="k-1")

    assert read(api.post(f"/api/playbooks/{main}/run", None, Idempotency_Key="k-1")) == read(first)
    error(api.post(f"/api/playbooks/{main}/run", {"dry_run": True}, Idempotency_Key="k-1"), 409, "conflict")
    elsewhere = api.post(f"/api/playbooks/{other}/run", {}, Idempotency_Key="k-1")
    assert data(elsewhere)["execution_id"] != data(first)["execution_id"]


def test_the_same_start_is_answered_alike_after_the_end(api: Api, slack: Server, finish: Finish) -> None:
    playbook = api.made(steps=[say("a")])
    first = api.post(f"/api/playbooks/{playbook}/run", {}, Idempotency_Key="k-1")
    finish(data(first)["execution_id"])

    assert read(api.post(f"/api/playbooks/{playbook}/run", {}, Idempotency_Key="k-1")) == read(first)
    assert len(slack.state.messages) == 1


def test_a_cacao_playbook_is_run_with_its_external_variables(api: Api) -> None:
    from config.samples import DIRECTORY

    assert api.post("/api/playbooks/import", (DIRECTORY / "contain-address.json").read_bytes()).status_code == 201
    run = "/api/playbooks/pb-contain-address/run"

    assert api.post(run, {}).status_code == 200
    assert api.post(run, {"parameters": {"__address__": "192.0.2.1"}}).status_code == 200
    assert api.post(run, {"parameters": {"address": "192.0.2.1"}}).status_code == 200
    invalid(api.post(run, {"parameters": {"address": "192.0.2.1; id"}}), "parameters.address")
    invalid(api.post(run, {"parameters": {"score": "5"}}), "parameters.score")


def test_a_revoked_cacao_playbook_is_not_run(api: Api) -> None:
    from config.samples import DIRECTORY
    from core import strict_json

    document = strict_json.loads((DIRECTORY / "contain-address.json").read_bytes()) | {"revoked": True}
    assert api.post("/api/playbooks/import", document).status_code == 201

    error(api.post("/api/playbooks/pb-contain-address/run", {}), 409, "conflict")


def test_the_body_limit_holds_here_too(api: Api, main: str) -> None:
    error(api.post(f"/api/playbooks/{main}/run", body(description="x" * (5 * 2**20))), 413, "payload_too_large")
