"""Actions are carried out by the engine while the call waits; the row comes to its end whatever happens to the call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Tenant, User
from api import throttling
from api.applylens import action_waiting
from core.actors import SYSTEM
from executions.models import Execution, Review
from executions.services import cancel_execution
from incidents.action_models import ActionRun
from incidents.actions import ending
from incidents.models import Incident
from incidents.services.tidying import forget_old
from playbooks.selectors import list_playbooks
from tests.api.applylens.acting import CLEAR, INCREMENTAL, body, connect, execute, history
from tests.api.applylens.calls import ENGINEER, Api, Json, caller_of, make, moved, read, refused, told
from tests.connectors.dbt.projects import dbt_program, make_project
from tests.connectors.servers import Reply, Server, json_reply
from tests.factories import UserFactory
from tests.faults.fleet import fleet

#: the fixture by its name, too: leases are kept where it stands
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]

KEYS = {
    "action_id",
    "action_type",
    "status",
    "message",
    "details",
    "estimated_duration",
    "actual_duration",
    "estimated_cost",
    "logs_url",
    "rollback_available",
    "created_at",
    "completed_at",
}
REINDEX: Json = body("refresh_synonyms", index_name="emails", reindex=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return make(tenant)


@contextmanager
def beside(work: Any) -> Iterator[list[Any]]:
    """Run ``work`` in a thread while the block goes on; its result is in the list afterwards."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield results
    thread.join(60)
    assert len(results) == 1


def wait_until(holds: Any) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to that")


def test_apl_091_095_a_dbt_model_is_run(
    api: Api, tenant: Tenant, incident: Incident, worker: None, settings: Any, tmp_path: Path
) -> None:
    settings.SALLYPORT_DBT_PROGRAM = dbt_program()
    settings.SALLYPORT_DBT_PROJECTS = {f"{tenant.slug}/warehouse": str(tmp_path / "project")}
    warehouse = make_project(tmp_path / "project")
    connect(
        tenant, "dbt", f"dbt://{tenant.slug}/warehouse", settings={"logs_url": "https://logs.example.com/{task_id}"}
    )

    found = read(execute(api, incident, {**INCREMENTAL, "approved_by": "whoever@example.com"}))

    assert found.keys() == KEYS
    assert (found["action_type"], found["status"], found["message"]) == (
        "rerun_dbt",
        "success",
        "Successfully ran 1 model(s)",
    )
    assert found["details"] == {"models_run": ["inbox_emails"], "exit_code": 0}
    assert (found["estimated_duration"], found["estimated_cost"]) == (300, 0.05)
    assert found["actual_duration"] > 0
    assert (found["logs_url"], found["rollback_available"]) == ("https://logs.example.com/task-123", False)
    assert warehouse.exists()
    [row] = history(api, incident)
    assert row["approved_by"] == "whoever@example.com"
    assert row["result"] == {"actual_duration": found["actual_duration"], "logs_url": found["logs_url"]}


def test_apl_099_130_an_action_changes_no_status_is_noted_and_told(
    api: Api, tenant: Tenant, incident: Incident, search: Server, worker: None
) -> None:
    found = read(execute(api, incident, CLEAR))

    assert found["message"] == "Cleared caches of emails"
    assert found["details"] == {
        "index_name": "emails",
        "cache_types": ["query", "request", "fielddata"],
        "shards": 2,
    }
    assert found["logs_url"] is None
    assert told(tenant, "action_executed") == [
        {
            "incident_id": incident.pk,
            "action_id": found["action_id"],
            "action_type": "clear_cache",
            "status": "success",
        }
    ]
    detail = read(api.get(f"/api/incidents/{incident.pk}"))
    assert detail["status"] == "open"
    assert detail["metadata"]["action_history"] == [found["action_id"]]
    run = ActionRun.objects.get(pk=found["action_id"])
    assert run.execution is not None
    assert (run.execution.status, run.execution.playbook.is_listed) == ("completed", False)
    assert list(list_playbooks(tenant)) == []


def test_the_same_action_again_uses_the_same_stored_step(
    api: Api, incident: Incident, search: Server, worker: None
) -> None:
    for _ in range(2):
        read(execute(api, incident, CLEAR))

    assert Execution.objects.values("version").distinct().count() == 1
    assert Execution.objects.count() == 2


@pytest.mark.parametrize(
    "approver",
    [None, "nobody@example.com", "analyst@example.com", "stranger@example.com", "gone@example.com"],
    ids=["missing", "unknown", "without-the-right", "of-another-tenant", "inactive"],
)
def test_apl_093_094_without_a_good_approval_nothing_happens(
    api: Api, tenant: Tenant, other_tenant: Tenant, incident: Incident, search: Server, approver: str | None
) -> None:
    UserFactory(tenant=tenant, email="analyst@example.com", role="analyst")
    UserFactory(tenant=other_tenant, email="stranger@example.com", role="admin")
    gone: User = UserFactory(tenant=tenant, email="gone@example.com", role="admin")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    given = REINDEX if approver is None else {**REINDEX, "approved_by": approver}

    refused(execute(api, incident, given), 403, "forbidden")

    assert (ActionRun.objects.count(), Execution.objects.count(), search.connections) == (0, 0, 0)


def test_apl_094_with_four_eyes_the_caller_is_no_approver(
    tenant: Tenant, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(four_eyes=True)
    own = caller_of(tenant, "admin")
    email = User.objects.get(tenant=tenant, role="admin").email
    deploy = body("deploy_planner", version="v3")

    refused(execute(own, incident, {**deploy, "approved_by": email}), 403, "forbidden")
    assert planner.state.writes == []
    found = read(execute(own, incident, {**deploy, "approved_by": ENGINEER.upper()}))

    assert found["rollback_available"] is True
    run = ActionRun.objects.get()
    assert (run.approved_by, run.caller["name"]) == (ENGINEER.upper(), "key of admin")


def test_apl_097_a_failure_is_a_500_and_a_failed_row(
    api: Api, tenant: Tenant, incident: Incident, search: Server, worker: None
) -> None:
    search.answers.append(json_reply({"error": "no such index"}, 404))

    error = refused(execute(api, incident, CLEAR), 500, "internal_error")

    assert "HTTP 404" in error["message"]
    [row] = history(api, incident)
    assert (row["status"], row["result"]["logs_url"]) == ("failed", None)
    assert row["result"]["actual_duration"] >= 0
    assert [event["status"] for event in told(tenant, "action_executed")] == ["failed"]
    assert read(api.get(f"/api/incidents/{incident.pk}"))["metadata"].get("action_history", []) == []


def test_without_a_connection_the_action_fails(api: Api, incident: Incident, worker: None) -> None:
    error = refused(execute(api, incident, CLEAR), 500, "internal_error")

    assert "no connection of kind opensearch" in error["message"]
    assert [row["status"] for row in history(api, incident)] == ["failed"]


def test_an_unknown_effect_fails_the_row_and_leaves_a_review(
    api: Api, engineer: User, incident: Incident, planner: Server, worker: None
) -> None:
    planner.answers.extend([json_reply(planner.state.listed()), Reply(manner="cut"), *[json_reply({}, 500)] * 3])
    given = {**body("deploy_planner", version="v3"), "approved_by": ENGINEER}

    refused(execute(api, incident, given), 500, "internal_error")

    assert [row["status"] for row in history(api, incident)] == ["failed"]
    assert Review.objects.filter(status="open").count() == 1


def test_apl_098_an_action_that_is_not_done_in_its_time_is_a_504(
    api: Api, incident: Incident, search: Server, worker: None, settings: Any
) -> None:
    settings.APPLYLENS_ACTION_LIMIT = timedelta(seconds=1)
    search.answers.append(Reply(manner="silent"))

    refused(execute(api, incident, CLEAR), 504, "timeout")

    assert [row["status"] for row in history(api, incident)] == ["failed"]


def test_a_call_that_nobody_ends_is_let_go(
    api: Api, incident: Incident, search: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.APPLYLENS_ACTION_LIMIT = timedelta(seconds=1)
    monkeypatch.setattr(action_waiting, "PATIENCE", timedelta(seconds=0.2))

    refused(execute(api, incident, CLEAR), 504, "timeout")
    assert [row["status"] for row in history(api, incident)] == ["running"]


def test_apl_101_102_the_eleventh_within_an_hour_is_refused(
    api: Api, tenant: Tenant, incident: Incident, search: Server, worker: None
) -> None:
    for _ in range(9):
        throttling.count([throttling.Limit("applylens-executions", f"{tenant.pk} {incident.pk}", 10, HOUR)])

    refused(execute(api, incident, REINDEX), 403, "forbidden")
    refused(execute(api, incident, body("clear_cache")), 422, "validation_error")
    refused(execute(api, incident, body("nothing")), 400, "bad_request")
    read(execute(api, incident, CLEAR))
    over = execute(api, incident, CLEAR)

    refused(over, 429, "rate_limited")
    assert over["X-RateLimit-Limit"] == "10"
    assert int(over["Retry-After"]) > 0
    assert ActionRun.objects.count() == 1


def test_apl_103_105_what_is_not_carried_out(
    api: Api, viewer: Api, stranger: Api, tenant: Tenant, incident: Incident, search: Server
) -> None:
    refused(execute(api, 999999, CLEAR), 404, "not_found")
    refused(execute(stranger, incident, CLEAR), 404, "not_found")
    refused(execute(viewer, incident, CLEAR), 403, "forbidden")
    refused(execute(api, incident, body("manual")), 400, "bad_request")
    refused(execute(api, moved(tenant, "closed"), CLEAR), 400, "bad_request")
    refused(execute(api, incident, {**CLEAR, "approved_by": 7}), 422, "validation_error")
    refused(execute(api, incident, {**CLEAR, "approved_by": ""}), 422, "validation_error")
    refused(execute(api, incident, {**CLEAR, "approved_by": "x" * 255}), 422, "validation_error")
    refused(execute(api, incident, {**CLEAR, "dry_run": True}), 422, "validation_error")
    assert ActionRun.objects.count() == 0


def test_apl_106_the_same_key_runs_once(api: Api, incident: Incident, search: Server, worker: None) -> None:
    first, second = [read(execute(api, incident, CLEAR, Idempotency_Key="one")) for _ in range(2)]

    assert first == second
    assert len(search.requests) == 1
    other = body("clear_cache", index_name="emails", cache_types=["query"])
    refused(execute(api, incident, other, Idempotency_Key="one"), 409, "conflict")
    assert read(execute(api, incident, CLEAR, Idempotency_Key="two"))["action_id"] != first["action_id"]


def test_apl_106_two_at_once_with_one_key_run_once(api: Api, incident: Incident, search: Server) -> None:
    from tests.api.applylens.acting import working

    def call() -> Json:
        return read(execute(api, incident, CLEAR, Idempotency_Key="one"))

    with beside(call) as first, beside(call) as second:
        wait_until(lambda: Execution.objects.count() == 1)
        with working():
            wait_until(lambda: first and second)

    assert first == second
    assert len(search.requests) == 1


def test_a_key_may_start_another_action_after_a_day(api: Api, incident: Incident, search: Server, worker: None) -> None:
    first = read(execute(api, incident, CLEAR, Idempotency_Key="one"))
    assert forget_old() == 0
    ActionRun.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    assert forget_old() == 0
    ActionRun.objects.update(created_at=timezone.now() - timedelta(hours=24, minutes=1))

    assert forget_old() == 1
    other = body("clear_cache", index_name="emails", cache_types=["query"])
    assert read(execute(api, incident, other, Idempotency_Key="one"))["action_id"] != first["action_id"]
    assert history(api, incident)[0]["id"] == first["action_id"]
    assert forget_old() == 0


def test_a_failure_is_answered_again_to_the_same_key(
    api: Api, incident: Incident, search: Server, worker: None
) -> None:
    search.answers.append(json_reply({}, 404))

    errors = [refused(execute(api, incident, CLEAR, Idempotency_Key="one"), 500, "internal_error") for _ in range(2)]
    assert errors[0] == errors[1]
    assert len(search.requests) == 1


@pytest.mark.slow
def test_apl_107_a_killed_worker_leaves_no_row_running(
    api: Api, incident: Incident, search: Server, settings: Any
) -> None:
    search.answers.append(Reply(manner="silent"))

    with fleet() as processes, beside(lambda: execute(api, incident, CLEAR)) as answers:
        wait_until(lambda: len(search.requests) == 1)
        assert processes.kill()
        wait_until(lambda: answers)

    found = read(answers[0])
    assert found["status"] == "success"
    assert [row["status"] for row in history(api, incident)] == ["success"]
    assert len(search.requests) == 2  # the class of clearing a cache is idempotent: it was done again


@pytest.mark.slow
def test_a_row_comes_to_its_end_though_nobody_waits(api: Api, tenant: Tenant, incident: Incident, search: Server,
    settings: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.APPLYLENS_ACTION_LIMIT = timedelta(seconds=60)
    monkeypatch.setattr(action_waiting, "PATIENCE", timedelta(seconds=-59.9))
    refused(execute(api, incident, CLEAR), 504, "timeout")
    assert [row["status"] for row in history(api, incident)] == ["running"]

    with fleet(workers=1):
        wait_until(lambda: history(api, incident)[0]["status"] == "success")

    assert [event["status"] for event in told(tenant, "action_executed")] == ["success"]


def test_an_end_is_settled_once(api: Api, tenant: Tenant, incident: Incident, search: Server, worker: None) -> None:
    action = read(execute(api, incident, CLEAR))["action_id"]
    before = ActionRun.objects.values().get(pk=action)

    assert ending.settle(action)
    assert ending.settle_ended() == 0
    assert ActionRun.objects.values().get(pk=action) == before
    assert len(told(tenant, "action_executed")) == 1


def test_a_cancelled_execution_cancels_the_row(api: Api, incident: Incident, search: Server) -> None:
    with beside(lambda: execute(api, incident, CLEAR)) as answers:
        wait_until(lambda: Execution.objects.count() == 1)
        execution = Execution.objects.get()
        cancel_execution(execution=execution, actor=SYSTEM, now=execution.created_at)

    refused(answers[0], 500, "internal_error")
    assert [row["status"] for row in history(api, incident)] == ["cancelled"]


def test_calls_that_wait_are_capped(api: Api, incident: Incident, search: Server, settings: Any) -> None:
    from tests.api.applylens.acting import working

    settings.APPLYLENS_WAITING_CALLS = 1
    with beside(lambda: execute(api, incident, CLEAR)) as answers:
        wait_until(lambda: Execution.objects.count() == 1)
        over = execute(api, incident, CLEAR)
        refused(over, 503, "unavailable")
        assert int(over["Retry-After"]) > 0
        assert ActionRun.objects.count() == 1
        with working():
            wait_until(lambda: answers)

    assert read(answers[0])["status"] == "success"
