"""GET /api/soar/playbooks/executions/{execution_id}"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Tenant
from api.olorin import ids
from connectors.models import Connection
from executions.models import Execution
from tests.api.olorin.calls import KEY, Json, body, read, refused
from tests.api.olorin.vendors import Vendors
from tests.api.s4e.calls import Api, approval
from tests.connectors.servers import Server, json_reply

Finish = Callable[[str], Execution]
Start = Callable[..., str]
Store = Callable[..., None]

VOID: Json = {"toolkit": "stripe", "action": "void_payment", "parameters": {"payment_id": "pi_123456"}}
MFA: Json = {"toolkit": "okta", "action": "force_mfa", "parameters": {"user_id": "{{ context.entity_id }}"}}


def shown(api: Api, execution: str, tenant: str = "tenant_123") -> Json:
    return read(api.get(f"/api/soar/playbooks/executions/{execution}?tenant_id={tenant}"))


def test_olo_018_019_an_execution_and_its_actions_are_shown(
    api: Api, store: Store, start: Start, finish: Finish, stripe: Connection, okta: Connection
) -> None:
    store(VOID, MFA)
    execution = start()
    finish(execution)

    told = shown(api, execution)
    assert {name: told[name] for name in ("execution_id", "playbook_id", "investigation_id", "anomaly_id")} == {
        "execution_id": execution,
        "playbook_id": KEY,
        "investigation_id": "inv_abc123",
        "anomaly_id": "anom_xyz789",
    }
    assert (told["tenant_id"], told["status"]) == ("tenant_123", "completed")
    assert told["started_at"] <= told["completed_at"]
    assert told["completed_at"].endswith("Z")
    assert "error_message" not in told
    first, second = told["actions_executed"]
    assert first.pop("executed_at").endswith("Z")
    assert first == {
        "action_id": "act_001", "toolkit": "stripe", "action_name": "void_payment", "status": "success",
    }  # fmt: skip
    assert (second["action_id"], second["toolkit"], second["action_name"]) == ("act_002", "okta", "force_mfa")


def test_what_was_not_given_is_null(api: Api, waiting: str, start: Start) -> None:
    told = shown(api, start(investigation_id=None, anomaly_id=None, trigger_reason=None, context=None))

    assert (told["investigation_id"], told["anomaly_id"], told["trigger_reason"]) == (None, None, None)
    assert told["actions_executed"] == []


@pytest.mark.parametrize(
    "unknown",
    ["exec_unknown", "exec_zzzzzzzzzzzz", "exec_000000000000", "exec_", "EXEC_000000000000", "x" * 256, "%00", "a%0a"],
)
def test_olo_021_an_unknown_execution_is_not_found(api: Api, unknown: str) -> None:
    refused(api.get(f"/api/soar/playbooks/executions/{unknown}?tenant_id=tenant_123"), 404)


def test_olo_022_another_tenants_execution_is_forbidden_without_a_word_of_it(
    api: Api, stranger: Api, running: str, other_tenant: Tenant
) -> None:
    path = f"/api/soar/playbooks/executions/{running}?tenant_id="
    answers = [api.get(f"{path}tenant_999"), stranger.get(f"{path}tenant_123"), stranger.get(f"{path}tenant_999")]

    assert len({refused(answer, 403) for answer in answers}) == 1
    assert all(b"inv_" not in answer.content for answer in answers)


@pytest.mark.parametrize("query", ["", "?tenant_id=", "?tenant=tenant_123"])
def test_olo_023_the_tenant_must_be_named(api: Api, running: str, query: str) -> None:
    refused(api.get(f"/api/soar/playbooks/executions/{running}{query}"), 400, "tenant_id")


def test_a_tenant_named_twice_is_forbidden(api: Api, running: str) -> None:
    query = "tenant_id=tenant_999&tenant_id=tenant_123"

    refused(api.get(f"/api/soar/playbooks/executions/{running}?{query}"), 403)


def test_olo_025_a_running_execution_lists_its_actions_so_far(
    api: Api, start: Start, finish: Finish, connect: Callable[..., Connection], tenant: Tenant
) -> None:
    connect(tenant, "slack")
    say = {
        "id": "say",
        "type": "action",
        "action_ref": "act-slack-notify",
        "parameters": {"channel": "#x", "message": "y"},
    }
    api.made(name="Fraud response critical", steps=[say, approval("ask")])
    execution = start()
    assert finish(execution).status == "paused"

    told = shown(api, execution)
    assert (told["status"], told["completed_at"]) == ("running", None)
    (done,) = told["actions_executed"]
    assert (done["action_id"], done["toolkit"], done["action_name"]) == ("act_001", "slack", "notify")


@pytest.mark.parametrize(("rule", "status", "count"), [("continue", "completed", 2), ("abort", "failed", 1)])
def test_olo_026_a_failed_action_follows_the_playbooks_rule(
    api: Api, store: Store, start: Start, finish: Finish, stripe: Connection, okta: Connection, server: Server,
    rule: str, status: str, count: int,
) -> None:  # fmt: skip
    server.answers.extend([json_reply({"errorSummary": "Not found: u1"}, 404)] * 4)
    store(MFA, VOID, on_failure=rule)
    execution = start()
    finish(execution)

    told = shown(api, execution)
    assert told["status"] == status
    assert len(told["actions_executed"]) == count
    failed = told["actions_executed"][0]
    assert (failed["toolkit"], failed["status"]) == ("okta", "failed")
    assert "Not found: u1" in failed["error_message"]
    assert bool(told.get("error_message")) == (status == "failed")


def test_olo_027_a_cancelled_execution_says_so(api: Api, running: str) -> None:
    number = ids.execution_number(running)
    assert api.post(f"/api/playbooks/executions/pexec-{number}/cancel").status_code == 200

    told = shown(api, running)
    assert told["status"] == "cancelled"
    assert told["completed_at"]


@pytest.mark.parametrize("form", ["pexec-{number}", "{uuid}", "exec-{number}", "exec_{number}"])
def test_olo_029_ids_of_other_families_are_unknown_here(api: Api, running: str, form: str) -> None:
    found = Execution.objects.get()
    assert found.number == ids.execution_number(running)
    other = form.format(number=found.number, uuid=found.pk)

    refused(api.get(f"/api/soar/playbooks/executions/{other}?tenant_id=tenant_123"), 404)


def test_olo_030_the_61st_in_a_minute_is_refused(api: Api, running: str) -> None:
    path = f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"
    statuses = [api.get(path).status_code for _ in range(61)]

    assert statuses == [200] * 60 + [429]


def test_olo_054_an_action_without_a_connection_is_skipped_with_a_warning(
    api: Api, store: Store, start: Start, finish: Finish, stripe: Connection, far: Vendors, caplog: Any
) -> None:
    from connectors.toolkit_models import ToolkitCall

    cancel = {"toolkit": "shopify", "action": "cancel_order", "parameters": {"order_id": "7"}}
    store(cancel, VOID)
    execution = start()
    finish(execution)

    told = shown(api, execution)
    assert told["status"] == "completed"
    assert [(each["action_id"], each["toolkit"]) for each in told["actions_executed"]] == [("act_001", "stripe")]
    skipped = ToolkitCall.objects.get(toolkit_name="shopify")
    assert (skipped.status, skipped.execution_ref) == ("skipped", execution)
    warned = [each for each in caplog.records if each.message == "composio_action_execution"]
    assert [(each.levelname, each.status) for each in warned if each.toolkit_name == "shopify"] == [
        ("WARNING", "skipped")
    ]


def test_an_action_whose_token_is_refused_has_failed_and_is_not_skipped(
    api: Api, store: Store, start: Start, finish: Finish, stripe: Connection, far: Vendors, server: Server
) -> None:
    from connectors.toolkit_models import ToolkitCall

    far.tokens.clear()
    store(VOID)
    execution = start()
    finish(execution)

    told = shown(api, execution)
    assert told["status"] == "failed"
    assert [each["status"] for each in told["actions_executed"]] == ["failed"]
    row = ToolkitCall.objects.get()
    assert (row.status, row.retry_count, len(server.requests)) == ("failed", 0, 1)


def test_viewers_read_and_strangers_do_not(viewer: Api, running: str) -> None:
    path = f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"

    assert viewer.get(path).status_code == 200
    refused(Api().get(path), 401)
    assert viewer.send("HEAD", path).content == b""


def test_ids_are_spread_one_to_one() -> None:
    numbers = [0, 1, 2, 3, 1_000_000, 36**12 - 1]
    made = [ids.execution_id(number) for number in numbers]

    assert [ids.execution_number(each) for each in made] == numbers
    assert len(set(made)) == len(numbers)
    assert sorted(made[:4]) != made[:4]


def test_a_large_context_does_not_keep_an_execution_from_being_shown(api: Api, waiting: str, start: Start) -> None:
    execution = start(context={"blob": "x" * 300_000})

    assert shown(api, execution)["anomaly_id"] == "anom_xyz789"
    assert body()["anomaly_id"] == "anom_xyz789"
