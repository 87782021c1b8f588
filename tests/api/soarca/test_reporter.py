"""GET /reporter and GET /reporter/{execution-id}."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution
from executions.services import cancel_execution, start_execution
from playbooks.selectors import get_by_cacao_id, latest_version
from tests.api.soarca.calls import (
    END,
    START,
    STEP,
    Api,
    Json,
    Waiting,
    assert_error,
    make_caller,
    manual_playbook,
    read,
    run,
    start,
    store,
    variable,
    without_path,
)

pytestmark = pytest.mark.django_db

SECOND = "action--b1b1b1b1-0000-4000-8000-0000000000aa"
LOOP = "while-condition--b1b1b1b1-0000-4000-8000-0000000000cc"
BODY_END = "end--b1b1b1b1-0000-4000-8000-0000000000dd"
LINUX = "linux--c1c1c1c1-0000-4000-8000-0000000000ee"
NEVER = "0001-01-01T00:00:00Z"


def ssh(command: str = "uptime", **more: Any) -> Json:
    return {
        "type": "action",
        "name": "Ask the host",
        "description": "Over ssh",
        "commands": [{"type": "ssh", "command": command}],
        "agent": LINUX,
        **more,
    }


def ssh_playbook(steps: Json, **changes: Any) -> Json:
    document = manual_playbook(**changes)
    first = next(iter(steps))
    return document | {
        "workflow": {START: {"type": "start", "on_completion": first}, **steps, END: {"type": "end"}},
        "agent_definitions": {LINUX: {"type": "linux", "name": "host", "address": {"ipv4": ["192.0.2.1"]}}},
        "target_definitions": {},
    }


@pytest.fixture
def played(api: Api, tenant: Tenant, settings: Settings) -> Any:
    """Store a playbook, play it to its end with scripted outcomes, and return its report."""
    settings.SALLYPORT_ALLOW_FAKE = True

    def play(document: Json, script: Json | None = None) -> Json:
        store(api, document)
        version = latest_version(get_by_cacao_id(tenant, document["id"]))
        options = {"script": {"steps": script or {}}}
        execution = start_execution(
            tenant=tenant, version=version, inputs={}, options=options, actor=SYSTEM, now=timezone.now()
        )
        run(str(execution.pk))
        report: Json = read(api.get(f"/reporter/{execution.pk}"))
        return report

    return play


def test_soa_079_nothing_ran_is_an_empty_array(api: Api) -> None:
    response = api.get("/reporter")

    assert response.status_code == 200
    assert response.content == b"[]"


def test_soa_081_the_report_of_an_ended_execution(played: Any) -> None:
    document = ssh_playbook({STEP: ssh(on_completion=END)})

    report = played(document)

    assert report["type"] == "execution_status"
    assert report["execution_id"] == report["run_id"]
    assert report["playbook_id"] == document["id"]
    assert (report["name"], report["description"]) == (document["name"], document["description"])
    assert datetime.fromisoformat(report["started"]) <= datetime.fromisoformat(report["ended"])
    assert report["status"] == "successfully_executed"
    assert report["state"] == "completed"
    assert report["status_text"] == "playbook execution completed successfully"
    assert report["request_interval"] == 5
    assert list(report["step_results"]) == [STEP]


def test_a_step_result_has_both_generations_of_names(played: Any) -> None:
    report = played(ssh_playbook({STEP: ssh(on_completion=END)}))
    result = report["step_results"][STEP]

    assert result["execution_id"] == result["run_id"] == report["execution_id"]
    assert result["step_id"] == STEP
    assert result["step_run_id"] == result["step_execution_id"]
    assert (result["name"], result["description"]) == ("Ask the host", "Over ssh")
    assert result["status"] == "successfully_executed"
    assert result["status_text"] == "step execution completed successfully"
    assert result["executed_by"] == "soarca"
    assert result["automated_execution"] is result["automated_run"] is True
    assert datetime.fromisoformat(result["started"]) <= datetime.fromisoformat(result["ended"])


def test_the_commands_of_a_step_are_told_with_their_variables_filled_in(played: Any) -> None:
    document = ssh_playbook(
        {STEP: ssh("ping __host__:value", on_completion=END)},
        playbook_variables={"__host__": variable(value="web-1", constant=True)},
    )

    [encoded] = played(document)["step_results"][STEP]["commands_b64"]
    assert base64.b64decode(encoded) == b"ping web-1"


def test_what_a_step_wrote_is_told_in_this_familys_shape(played: Any) -> None:
    document = ssh_playbook(
        {STEP: ssh(on_completion=END, out_args=["__load__"])}, playbook_variables={"__load__": variable("integer")}
    )

    result = played(document, {STEP: [{"result": "success", "output": "7"}]})["step_results"][STEP]

    assert result["variables"] == {
        "__load__": {
            "type": "integer",
            "name": "__load__",
            "description": "",
            "value": "7",
            "constant": False,
            "external": False,
        }
    }


def test_a_large_value_is_told_whole_in_the_report_and_not_in_the_list(api: Api, played: Any) -> None:
    document = ssh_playbook(
        {STEP: ssh(on_completion=END, out_args=["__log__"])}, playbook_variables={"__log__": variable()}
    )
    large = "line\n" * 200_000 + "."

    result = played(document, {STEP: [{"result": "success", "output": large}]})["step_results"][STEP]

    assert result["variables"]["__log__"]["value"] == large
    [listed] = read(api.get("/reporter"))
    assert listed["step_results"][STEP]["variables"]["__log__"]["value"] is None


@pytest.mark.parametrize("kind", ["running", "waiting"])
def test_soa_082_a_live_execution_is_ongoing(api: Api, kind: str) -> None:
    if kind == "waiting":
        execution = start(api, manual_playbook()).execution
    else:
        execution = read(api.post("/trigger/playbook", manual_playbook()))["execution_id"]

    response = api.get(f"/reporter/{execution}")

    assert response.status_code == 200
    report = read(response)
    assert (report["status"], report["ended"]) == ("ongoing", NEVER)
    assert report["status_text"] == "this playbook is currently being executed"


def test_soa_083_a_step_that_waits_for_a_person_is_ongoing(api: Api, waiting: Waiting) -> None:
    report = read(api.get(f"/reporter/{waiting.execution}"))

    assert report["status"] == "ongoing"
    assert list(report["step_results"]) == [STEP]
    result = report["step_results"][STEP]
    assert (result["status"], result["ended"], result["automated_execution"]) == ("ongoing", NEVER, False)


def test_an_answered_step_tells_who_answered_and_what(api: Api, waiting: Waiting) -> None:
    api.post("/manual/continue", waiting.answer("block"))
    run(waiting.execution)

    report = read(api.get(f"/reporter/{waiting.execution}"))
    result = report["step_results"][STEP]
    assert report["status"] == result["status"] == "successfully_executed"
    assert result["executed_by"].startswith("admin-")
    assert result["executed_by"].endswith("@example.org")
    assert result["variables"]["__decision__"]["value"] == "block"


def test_a_step_that_a_person_failed_is_failed(api: Api, waiting: Waiting) -> None:
    api.post("/manual/continue", waiting.answer(response_status="failure", response_out_args={}))
    run(waiting.execution)

    result = read(api.get(f"/reporter/{waiting.execution}"))["step_results"][STEP]
    assert result["status"] == "failed"
    assert result["status_text"].startswith("something went wrong in the execution of this step - error: ")


def test_soa_085_a_failed_step_says_why_and_what_was_not_reached_is_absent(played: Any) -> None:
    document = ssh_playbook({STEP: ssh(on_success=SECOND), SECOND: ssh(on_completion=END)})

    report = played(document, {STEP: [{"result": "failure"}]})

    assert (report["status"], report["state"]) == ("failed", "failed")
    assert list(report["step_results"]) == [STEP]
    result = report["step_results"][STEP]
    assert result["status"] == "failed"
    assert result["status_text"].startswith("something went wrong in the execution of this step - error: ")


def test_soa_086_a_step_that_timed_out_is_a_timeout_error(played: Any) -> None:
    report = played(ssh_playbook({STEP: ssh(on_success=END, timeout=1000)}), {STEP: [{"result": "timeout"}]})

    result = report["step_results"][STEP]
    assert result["status"] == "timeout_error"
    assert result["status_text"].startswith("the execution of this step timed out")


def test_soa_087_each_visit_of_a_loop_has_a_key_the_last_one_the_plain(played: Any) -> None:
    document = ssh_playbook(
        {
            LOOP: {"type": "while-condition", "condition": "__n__:value < 3", "on_true": STEP, "on_completion": END},
            STEP: ssh(on_completion=BODY_END, out_args=["__n__"]),
            BODY_END: {"type": "end"},
        },
        playbook_variables={"__n__": variable("integer", value="0")},
    )

    report = played(document, {STEP: [{"result": "success", "output": str(n)} for n in (1, 2, 3)]})

    assert report["status"] == "successfully_executed", report
    assert set(report["step_results"]) == {LOOP, STEP, f"{STEP}#1", f"{STEP}#2"}
    values = [report["step_results"][key]["variables"]["__n__"]["value"] for key in (f"{STEP}#1", f"{STEP}#2", STEP)]
    assert values == ["1", "2", "3"]


def test_a_reference_without_value_is_the_clients_side(played: Any) -> None:
    document = ssh_playbook(
        {STEP: ssh("ping __host__:value", on_success=END)}, playbook_variables={"__host__": variable()}
    )

    result = played(document)["step_results"][STEP]
    assert result["status"] == "client_side_error"
    assert "__host__" in result["status_text"]


def test_a_condition_that_cannot_be_evaluated_is_an_exception(played: Any) -> None:
    fork = "if-condition--b1b1b1b1-0000-4000-8000-0000000000ff"
    document = ssh_playbook(
        {
            fork: {"type": "if-condition", "condition": "__n__:value < 3", "on_true": STEP, "on_completion": END},
            STEP: ssh(on_completion=BODY_END),
            BODY_END: {"type": "end"},
        },
        playbook_variables={"__n__": variable("integer")},
    )

    result = played(document)["step_results"][fork]
    assert result["status"] == "exception_condition_error"


def test_a_cancelled_execution_is_failed_and_says_so(api: Api, waiting: Waiting) -> None:
    cancel_execution(execution=Execution.objects.get(pk=waiting.execution), actor=SYSTEM, now=timezone.now())
    run(waiting.execution)

    report = read(api.get(f"/reporter/{waiting.execution}"))
    assert (report["status"], report["state"]) == ("failed", "cancelled")
    assert "cancelled" in report["status_text"]
    assert report["step_results"][STEP]["status"] == "failed"


def test_reports_are_listed_newest_first_page_by_page(api: Api) -> None:
    started = [start(api, manual_playbook()).execution for _ in range(3)]

    newest_first = list(reversed(started))
    assert [report["execution_id"] for report in read(api.get("/reporter"))] == newest_first
    assert [report["execution_id"] for report in read(api.get("/reporter?limit=2"))] == newest_first[:2]
    assert [report["execution_id"] for report in read(api.get("/reporter/?limit=2&offset=2"))] == newest_first[2:]
    assert read(api.get("/reporter?offset=99")) == []
    assert read(api.get("/reporter"))[0] == read(api.get(f"/reporter/{newest_first[0]}"))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "offset=-1", "offset=%00", "limit=%EF%BC%91"]
)
def test_a_page_outside_the_range_is_refused(api: Api, query: str) -> None:
    assert_error(api.get(f"/reporter?{query}"), 400)


def test_listing_takes_as_many_queries_for_ten_as_for_one(
    api: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(10):
        start(api, manual_playbook())
    read(api.get("/reporter"))  # the compiled workflows are kept from here on

    with django_assert_max_num_queries(6):
        assert len(read(api.get("/reporter"))) == 10


@pytest.mark.parametrize(
    "execution",
    [
        "not-a-uuid",
        "null",
        "undefined",
        "me",
        "NaN",
        "01a200f9-e39c-7291-a372-e4c67abbb3e;jsessionid=1",
        "..",
        "pexec-1",
    ],
)
def test_an_id_that_is_no_uuid_is_400(api: Api, execution: str) -> None:
    assert_error(api.get(f"/reporter/{execution}"), 400, says="execution id")


@pytest.mark.parametrize("execution", ["a%2fb", "%00", "%0a", "%0d%0a", "x" * 257])
def test_an_id_that_no_path_can_hold_is_404(api: Api, execution: str) -> None:
    assert_error(api.get(f"/reporter/{execution}"), 404)


def test_an_unknown_and_a_foreign_execution_answer_alike(api: Api, theirs: Waiting) -> None:
    unknown = assert_error(api.get(f"/reporter/{uuid4()}"), 404)
    foreign = assert_error(api.get(f"/reporter/{theirs.execution}"), 404)

    assert without_path(unknown) == without_path(foreign)
    assert read(api.get("/reporter")) == []


def test_the_uuid_may_be_written_in_either_case(api: Api, waiting: Waiting) -> None:
    assert api.get(f"/reporter/{waiting.execution.upper()}").status_code == 200


def test_reading_needs_the_permission(api: Api, tenant: Tenant, waiting: Waiting) -> None:
    assert_error(make_caller(tenant, "api_service").get("/reporter"), 403)
    assert make_caller(tenant, "viewer").get("/reporter").status_code == 200
