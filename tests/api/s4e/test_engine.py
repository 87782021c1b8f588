"""What a run does with templates, conditions, retries and events."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import Tenant
from executions.models import Execution
from executions.services import emit_event
from tests.api.s4e.calls import Api, Json, condition, data, parallel, say, statuses
from tests.connectors.servers import Server, json_reply

Finish = Callable[[str], Execution]
FINDING = {"title": "Log4Shell", "severity": "critical", "asset": {"name": "web-01", "tags": ["production", "web"]}}


def emit(
    tenant: Tenant, finding: Json | None = None, *, event: str = "finding.new", id: str | None = None
) -> list[str]:
    """Hand an event to the triggers; return the public ids of the executions it started."""
    started = emit_event(tenant=tenant, event=event, data=finding or FINDING, event_id=id, now=datetime.now(tz=UTC))
    return [f"pexec-{execution.number}" for execution in started]


@pytest.mark.parametrize(
    ("word", "status", "after"), [("abort", "failed", "skipped"), ("continue", "completed", "completed")]
)
def test_s4e_101_an_undefined_path_fails_the_step_and_is_named(
    api: Api, slack: Server, finish: Finish, word: str, status: str, after: str
) -> None:
    execution = api.started(api.made(steps=[say("a", "{{ finding.title }}"), say("b")], on_failure=word))
    finish(execution)

    assert api.execution(execution)["status"] == status
    first, second = api.steps(execution)
    assert (first["status"], first["error"]["code"]) == ("failed", "undefined_variable")
    assert "finding.title" in first["error"]["message"]
    assert second["status"] == after
    assert len(slack.requests) == (1 if word == "continue" else 0)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["production", "web"], {"c": "completed", "yes": "completed", "no": "skipped"}),
        (["staging"], {"c": "completed", "yes": "skipped", "no": "completed"}),
    ],
)
def test_s4e_102_a_condition_takes_one_path_and_skips_the_other(
    api: Api, tenant: Tenant, slack: Server, finish: Finish, tags: list[str], expected: dict[str, str]
) -> None:
    api.made(
        steps=[
            condition("c", "'production' in {{ finding.asset.tags }}", on_true="yes", on_false="no"),
            say("yes", on_success="end"),
            say("no"),
        ]
    )
    (execution,) = emit(tenant, FINDING | {"asset": {"tags": tags}})
    finish(execution)

    assert api.execution(execution)["status"] == "completed"
    assert statuses(api.steps(execution)) == expected


def test_s4e_103_an_event_starts_the_playbooks_whose_conditions_hold(
    api: Api, tenant: Tenant, slack: Server, jira: Server, finish: Finish
) -> None:
    api.made()

    assert emit(tenant, FINDING | {"severity": "low"}) == []
    (execution,) = emit(tenant)
    finish(execution)

    assert api.execution(execution)["status"] == "completed"
    assert slack.state.messages[0]["text"] == "Critical finding: Log4Shell"
    assert jira.state.issues[0]["fields"]["summary"] == "Log4Shell"


def test_an_event_starts_a_playbook_once_however_often_it_is_delivered(api: Api, tenant: Tenant) -> None:
    api.made()

    assert emit(tenant, id="evt-1") == emit(tenant, id="evt-1")
    assert Execution.objects.filter(tenant=tenant).count() == 1
    assert emit(tenant, id="evt-2") != []
    assert Execution.objects.filter(tenant=tenant).count() == 2


def test_an_event_starts_no_disabled_playbook_and_none_of_another_tenant(
    api: Api, tenant: Tenant, other_tenant: Tenant
) -> None:
    from playbooks.models import Playbook

    api.made()
    assert emit(other_tenant) == []
    Playbook.objects.update(is_enabled=False)
    assert emit(tenant) == []


def test_the_command_emits_an_event_from_a_file(api: Api, tenant: Tenant, tmp_path: Path) -> None:
    api.made()
    file = tmp_path / "finding.json"
    file.write_text(json.dumps(FINDING))

    call_command("emit_event", "finding.new", str(file), tenant=tenant.slug)

    assert Execution.objects.filter(tenant=tenant).count() == 1


def test_s4e_105_an_attribute_of_the_interpreter_is_an_undefined_path(
    api: Api, tenant: Tenant, slack: Server, finish: Finish
) -> None:
    api.made(steps=[say("a", "{{ finding.__class__ }}")])
    (execution,) = emit(tenant)
    finish(execution)

    (step,) = api.steps(execution)
    assert (step["status"], step["output"], step["error"]["code"]) == ("failed", None, "undefined_variable")
    assert "dict" not in json.dumps(api.execution(execution)) + json.dumps(step)


def test_a_value_that_looks_like_a_template_stays_text(api: Api, tenant: Tenant, slack: Server, finish: Finish) -> None:
    api.made(steps=[say("a", "{{ finding.title }}")])
    (execution,) = emit(tenant, FINDING | {"title": "{{ finding.severity }} $(id) ${7*7}"})
    finish(execution)

    assert slack.state.messages[0]["text"] == "{{ finding.severity }} $(id) ${7*7}"


def test_retry_tries_the_failing_step_again_and_then_aborts(api: Api, slack: Server, finish: Finish) -> None:
    steps = [say("a", channel="#nowhere"), say("b")]
    execution = api.started(api.made(steps=steps, on_failure="retry", max_retries=2))
    finish(execution)

    assert len(slack.requests) == 3
    assert statuses(api.steps(execution)) == {"a": "failed", "b": "skipped"}
    assert api.execution(execution)["status"] == "failed"


def test_retry_goes_on_when_a_later_try_succeeds(api: Api, slack: Server, finish: Finish) -> None:
    slack.answers.append(json_reply({"ok": False, "error": "channel_not_found"}))
    execution = api.started(api.made(steps=[say("a"), say("b")], on_failure="retry", max_retries=1))
    finish(execution)

    assert api.execution(execution)["status"] == "completed"
    assert len(slack.state.messages) == 2


@pytest.mark.parametrize(
    ("word", "status", "after"), [("abort", "failed", "skipped"), ("continue", "completed", "completed")]
)
def test_a_condition_that_cannot_be_evaluated_takes_neither_path(
    api: Api, slack: Server, finish: Finish, word: str, status: str, after: str
) -> None:
    steps = [
        condition("c", "finding.severity == 'critical'", on_true="yes", on_false="no", on_failure=word),
        say("yes", on_success="z"), say("no"), say("z"),
    ]  # fmt: skip
    execution = api.started(api.made(steps=steps))
    finish(execution)

    assert api.execution(execution)["status"] == status
    expected = {"c": "failed", "yes": "skipped", "no": "skipped", "z": after}
    assert statuses(api.steps(execution)) == expected


def test_a_step_that_aborts_in_the_path_of_a_continuing_condition_ends_the_run(
    api: Api, slack: Server, finish: Finish
) -> None:
    steps = [
        condition("c", "1 == 1", on_true="yes", on_failure="continue"),
        say("no"), say("yes", channel="#nowhere"), say("z"),
    ]  # fmt: skip
    execution = api.started(api.made(steps=steps))
    finish(execution)

    assert api.execution(execution)["status"] == "failed"
    expected = {"c": "completed", "yes": "failed", "no": "skipped", "z": "skipped"}
    assert statuses(api.steps(execution)) == expected
    told = api.execution(execution)["error"]
    assert told["code"] != "branch_failed"
    assert "channel_not_found" in told["message"]


@pytest.mark.parametrize(
    ("word", "status", "after"), [("abort", "failed", "skipped"), ("continue", "completed", "completed")]
)
def test_a_branch_that_fails_lets_the_others_end_and_fails_its_parallel(
    api: Api, slack: Server, finish: Finish, word: str, status: str, after: str
) -> None:
    steps = [
        parallel("p", ["a", "x"], ["b"], on_failure=word), say("a", channel="#nowhere"), say("x"), say("b"), say("z"),
    ]  # fmt: skip
    execution = api.started(api.made(steps=steps))
    finish(execution)

    assert api.execution(execution)["status"] == status
    expected = {"p": "failed", "a": "failed", "x": "skipped", "b": "completed", "z": after}
    assert statuses(api.steps(execution)) == expected


def test_outputs_of_earlier_steps_are_read(api: Api, slack: Server, jira: Server, finish: Finish) -> None:
    ticket: Json = {
        "id": "t", "type": "action", "action_ref": "act-jira-create",
        "parameters": {"project": "SEC", "summary": "x"},
    }  # fmt: skip
    steps = [
        ticket,
        say("a", "{{ steps.t.output.issue_key }} {{ previous_step.status }}"),
        say("b", "{{ steps.a.output }}"),
    ]
    execution = api.started(api.made(steps=steps))
    finish(execution)

    assert slack.state.messages[0]["text"] == "SEC-1234 completed"
    assert json.loads(slack.state.messages[1]["text"])["message_ts"] == slack.state.messages[0]["ts"]


def test_the_shipped_demonstration_runs_against_its_target(
    api: Api, tenant: Tenant, settings: Any, finish: Finish
) -> None:
    import threading

    from config.demo_target import Handler, Ledger
    from config.demo_target import Server as Target
    from config.samples import DIRECTORY
    from connectors.services import save_connection

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    ledger = Ledger()
    handler = type("Fresh", (Handler,), {"ledger": ledger})
    with Target(("127.0.0.1", 0), handler) as target:
        threading.Thread(target=target.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{target.server_address[1]}"
        save_connection(tenant=tenant, kind="http", name="demo", url=url, now=datetime.now(tz=UTC))
        assert api.post("/api/playbooks/import", (DIRECTORY / "contain-address.json").read_bytes()).status_code == 201
        bad = api.started("pb-contain-address")
        finish(bad)
        good = api.started("pb-contain-address", {"parameters": {"address": "192.0.2.10"}})
        finish(good)
        target.shutdown()

    assert api.execution(bad)["status"] == "completed", api.execution(bad)["error"]
    assert api.execution(good)["status"] == "completed", api.steps(good)
    rows = ledger.rows
    assert [row["ip"] for row in rows["block"]] == ["203.0.113.7"]
    assert len(rows["tickets"]) == 1
    assert [row["text"] for row in rows["messages"]] == [
        "203.0.113.7 has a score of 92, malicious: true",
        "192.0.2.10 has a score of 3, malicious: false",
    ]
    assert data(api.get(f"/api/playbooks/executions/{bad}"))["steps_completed"] == 6
