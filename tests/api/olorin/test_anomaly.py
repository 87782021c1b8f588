"""Events of anomalies start the critical playbook; Olorin playbooks are read, stored and shown by every family."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Tenant
from api.olorin import ids
from connectors.models import Connection
from connectors.toolkit_models import ToolkitCall
from core.errors import Conflict, Invalid
from executions.models import Execution
from playbooks.models import Playbook
from tests.api.olorin.calls import KEY, Json
from tests.api.olorin.test_get_execution import MFA, VOID, shown
from tests.api.s4e.calls import Api, data, read
from tests.connectors.servers import Server

ANOMALY: Json = {
    "anomaly_id": "anom_xyz789", "tenant_id": "tenant_123", "severity": "critical", "score": 5.2,
    "entity_id": "user-17", "entity_type": "user", "investigation_id": "inv_abc123",
}  # fmt: skip


@pytest.fixture
def critical(tenant: Tenant) -> None:
    call_command("soar_playbook", tenant=tenant.slug, stdout=StringIO())


def emit(api: Api, *, id: str | None = "evt-1", **changes: Any) -> list[str]:
    """Hand an anomaly to the events endpoint; return the ids of what it started."""
    event = {"event": "anomaly.detected", "data": ANOMALY | changes} | ({"id": id} if id else {})
    answer = api.post("/api/native/events", event)
    assert answer.status_code in (200, 202), answer.content
    return [str(found.pk) for found in Execution.objects.filter(dialect="s4e").order_by("id")]


def test_olo_065_a_critical_anomaly_starts_the_critical_playbook_once(api: Api, critical: None, tenant: Tenant) -> None:
    assert len(emit(api)) == 1
    assert len(emit(api)) == 1

    found = Execution.objects.get()
    told = shown(api, ids.execution_id(found.number))
    assert (told["playbook_id"], told["anomaly_id"], told["investigation_id"]) == (KEY, "anom_xyz789", "inv_abc123")
    assert told["trigger_reason"] == "Critical anomaly detected (score: 5.2)"
    assert (found.created_at - timezone.now()).total_seconds() < 60


def test_an_anomaly_is_known_by_its_id_where_its_event_has_none(api: Api, critical: None) -> None:
    emit(api, id=None)
    emit(api, id=None, score=6)

    assert Execution.objects.count() == 1
    emit(api, id=None, anomaly_id="anom_other")
    assert Execution.objects.count() == 2


@pytest.mark.parametrize("changes", [{"score": 4.5}, {"severity": "warn", "score": 4.9}, {"score": "5.2"}], ids=repr)
def test_olo_066_067_other_anomalies_start_nothing(api: Api, critical: None, changes: Json) -> None:
    assert emit(api, **changes) == []


def test_olo_069_the_default_actions_run_in_order_each_with_its_audit(
    api: Api, critical: None, tenant: Tenant, connect: Callable[..., Connection], server: Server,
    run_to_end: Callable[..., Execution],
) -> None:  # fmt: skip
    for toolkit in ("stripe", "okta", "slack", "jira"):
        connect(tenant, toolkit)
    emit(api)
    execution = run_to_end(Execution.objects.get())

    expected = [("stripe", "void_payment"), ("okta", "force_mfa"), ("slack", "notify"), ("jira", "create_case")]
    told = shown(api, ids.execution_id(execution.number))
    assert [(each["toolkit"], each["action_name"]) for each in told["actions_executed"]] == expected
    assert {each["status"] for each in told["actions_executed"]} == {"success"}
    rows = ToolkitCall.objects.order_by("executed_at")
    assert [(row.toolkit_name, row.action_name, row.status) for row in rows] == [
        (*each, "success") for each in expected
    ]
    assert [row.action_id for row in rows] == ["act_001", "act_002", "act_003", "act_004"]
    assert {row.execution_ref for row in rows} == {told["execution_id"]}
    (posted,) = [each.json for each in server.requests if each.path == "/api/chat.postMessage"]
    assert (posted["channel"], posted["text"]) == ("#fraud-ops", "Critical anomaly on user user-17.")


def test_another_tenants_anomaly_starts_nothing_here(stranger: Api, critical: None) -> None:
    assert emit(stranger) == []


def test_the_other_families_show_and_export_the_playbook(api: Api, critical: None) -> None:
    told = data(api.get("/api/playbooks/pb-fraud-response-critical"))
    assert told["trigger"] == {
        "event": "anomaly.detected",
        "conditions": {"severity": "critical", "score": {"$gt": 4.5}},
    }
    assert [step["action_ref"] for step in told["steps"]] == [
        "act-stripe-void-payment", "act-okta-force-mfa", "act-slack-notify", "act-jira-create",
    ]  # fmt: skip
    assert told["steps"][0]["parameters"] == {"payment_id": "{{ anomaly.entity_id }}"}
    document = read(api.get("/api/playbooks/pb-fraud-response-critical/export"))
    assert document["spec_version"] == "cacao-2.0"
    assert api.get("/playbook/" + document["id"]).status_code == 200


def test_what_it_becomes_skips_without_a_connection_and_is_tried_four_times(store: Callable[..., None]) -> None:
    from playbooks.selectors import latest_version, workflow_of

    store(VOID, MFA | {"on_failure": "continue"}, on_failure="abort")
    steps = workflow_of(latest_version(Playbook.objects.get())).steps
    void, mfa = steps["1-stripe-void_payment"], steps["2-okta-force_mfa"]

    assert void.on_missing_connection == mfa.on_missing_connection == "skip"
    assert void.retry is not None
    assert void.retry.attempts == 4
    assert (void.on_success, void.on_completion) == ("2-okta-force_mfa", None)
    assert (mfa.on_success, mfa.on_completion) == (None, "end:run")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"playbook_id": "Has Spaces"}, "playbook_id"),
        ({"playbook_id": "trailing_"}, "playbook_id"),
        ({"name": ""}, "name"),
        ({"unknown": 1}, "unknown"),
        ({"on_failure": "retry"}, "on_failure"),
        ({"starts_on": "warn"}, "starts_on"),
        ({"actions": []}, "actions"),
        ({"actions": [VOID] * 501}, "actions"),
        ({"actions": [VOID | {"toolkit": "nope"}]}, "actions[0].toolkit"),
        ({"actions": [VOID, VOID | {"action": "nope"}]}, "actions[1].action"),
        ({"actions": [VOID | {"parameters": {"nope": 1}}]}, "actions[0].parameters.nope"),
        ({"actions": [VOID | {"parameters": {"payment_id": "{{ x"}}]}, "actions[0].parameters"),
        ({"actions": [VOID | {"id": "a b"}]}, "actions[0].id"),
        ({"actions": [VOID | {"id": "a"}, VOID | {"id": "a"}]}, "actions[1].id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_playbook_that_cannot_run_is_refused(store: Callable[..., None], changes: Json, word: str) -> None:
    from rest_framework.exceptions import ValidationError

    from api.errors import problem_of

    with pytest.raises((Invalid, ValidationError)) as refused:
        store(*changes.pop("actions", [VOID]), **changes)
    problem = problem_of(refused.value)
    assert problem is not None
    assert word in problem.message
    assert not Playbook.objects.exists()


def test_a_key_is_taken_once(store: Callable[..., None]) -> None:
    store(VOID)

    with pytest.raises(Conflict):
        store(VOID)


def test_the_command_says_what_is_wrong(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "playbook.json"
    file.write_text(json.dumps({"playbook_id": "x", "name": "X", "actions": [VOID | {"action": "nope"}]}))

    with pytest.raises(CommandError, match="nope"):
        call_command("soar_playbook", str(file), tenant=tenant.slug)
    with pytest.raises(CommandError):
        call_command("soar_playbook", str(tmp_path / "none.json"), tenant=tenant.slug)
