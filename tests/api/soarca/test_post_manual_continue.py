"""POST /manual/continue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution, StepRun
from executions.selectors import final_variables
from executions.services import cancel_execution
from manual.models import ManualRequest
from tests.api.soarca.calls import (
    AFTER_FAILURE,
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
    variable,
)

pytestmark = pytest.mark.django_db
CONTINUE = "/manual/continue"


def given(value: Any = "allow", **more: Any) -> Json:
    return {"__decision__": {"type": "string", "name": "__decision__", "value": value} | more}


def assert_still_waiting(api: Api, waiting: Waiting) -> None:
    assert api.get(waiting.path).status_code == 200


def test_soa_018_an_answer_is_answered_with_the_execution(api: Api, waiting: Waiting) -> None:
    response = api.post(CONTINUE, waiting.answer())

    assert response.status_code == 200
    assert read(response) == {
        "execution_id": waiting.execution,
        "run_id": waiting.execution,
        "payload": waiting.playbook,
        "playbook_id": waiting.playbook,
    }


def test_soa_019_the_execution_resumes_and_the_value_is_visible(api: Api, waiting: Waiting) -> None:
    api.post(CONTINUE, waiting.answer("allow"))

    execution = run(waiting.execution)
    assert execution.status == "completed"
    assert final_variables(execution)["__decision__"] == "allow"


def test_soa_021_changes_of_the_definition_are_ignored(api: Api, waiting: Waiting) -> None:
    body = waiting.answer(response_out_args=given(description="mine", constant=True, external=True))

    assert api.post(CONTINUE, body).status_code == 200
    definition = ManualRequest.objects.get().out_args["__decision__"]
    assert (definition["description"], definition["constant"], definition["external"]) == ("", False, False)


def test_soa_022_a_failure_takes_the_failure_edge(api: Api, waiting: Waiting) -> None:
    response = api.post(CONTINUE, waiting.answer(response_status="failure", response_out_args=...))

    assert response.status_code == 200
    run(waiting.execution)
    assert StepRun.objects.get(step_id=STEP).status == "failed"
    assert [item["step_id"] for item in read(api.get("/manual"))] == [AFTER_FAILURE]


def test_a_failure_may_send_the_variables_without_values(api: Api, waiting: Waiting) -> None:
    body = waiting.answer(response_status="failure", response_out_args=given(None))

    assert api.post(CONTINUE, body).status_code == 200


@pytest.mark.parametrize("status", ["maybe", True, None, ..., "", "SUCCESS", ["success"]])
def test_soa_023_a_response_status_is_success_or_failure(api: Api, waiting: Waiting, status: Any) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(response_status=status)), 400, says="response_status")
    assert_still_waiting(api, waiting)


def test_soa_025_a_key_that_holds_another_name_is_refused(api: Api, waiting: Waiting) -> None:
    body = waiting.answer(response_out_args=given(name="__other__"))

    assert_error(api.post(CONTINUE, body), 400, says="names differ")
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize("status", ["success", "failure"])
def test_soa_026_a_variable_that_the_step_does_not_have_is_refused(api: Api, waiting: Waiting, status: str) -> None:
    body = waiting.answer(response_status=status, response_out_args=given() | {"__other__": {"value": "x"}})

    assert_error(api.post(CONTINUE, body), 400, says="__other__")
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize("out_args", [{}, ..., None])
def test_soa_027_success_needs_every_variable(api: Api, waiting: Waiting, out_args: Any) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(response_out_args=out_args)), 400, says="__decision__")
    assert_still_waiting(api, waiting)


def test_soa_029_a_step_that_does_not_wait_is_404(api: Api, waiting: Waiting) -> None:
    body = waiting.answer(step_id=f"action--{uuid4()}")

    assert_error(api.post(CONTINUE, body), 404, original="POST /manual/continue", says="Pending command not found")


def test_an_answered_an_unknown_and_a_foreign_step_answer_alike(api: Api, waiting: Waiting, theirs: Waiting) -> None:
    api.post(CONTINUE, waiting.answer())

    bodies = [
        assert_error(api.post(CONTINUE, body), 404)
        for body in (waiting.answer(), waiting.answer(execution_id=str(uuid4())), theirs.answer())
    ]
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_step_of_a_cancelled_execution_is_404(api: Api, waiting: Waiting) -> None:
    cancel_execution(execution=Execution.objects.get(pk=waiting.execution), actor=SYSTEM, now=timezone.now())

    assert_error(api.post(CONTINUE, waiting.answer()), 404)


def test_soa_030_the_playbook_of_another_execution_is_refused(api: Api, waiting: Waiting) -> None:
    body = waiting.answer(playbook_id=f"playbook--{uuid4()}")

    assert_error(api.post(CONTINUE, body), 400, says="playbook_id")
    assert_still_waiting(api, waiting)


def test_the_playbook_may_be_left_out_or_given_without_its_prefix(api: Api, waiting: Waiting) -> None:
    assert api.post(CONTINUE, waiting.answer(playbook_id=...)).status_code == 200

    again = start(api, manual_playbook())
    body = again.answer(playbook_id=again.playbook.removeprefix("playbook--").upper())
    assert api.post(CONTINUE, body).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b'{"execution_id":', b"{'a':1}", b'{"a":NaN}', b'{"a":1,"a":2}', b"[]", b"null", b"[" * 1000]
)
def test_soa_031_malformed_json_is_400(api: Api, waiting: Waiting, body: bytes) -> None:
    assert_error(api.post(CONTINUE, body), 400, original="POST /manual/continue")


@pytest.mark.django_db(transaction=True)
def test_soa_033_of_two_answers_at_once_exactly_one_is_taken(api: Api, waiting: Waiting) -> None:
    barrier = Barrier(2)

    def answer(value: str) -> int:
        try:
            barrier.wait()
            return api.post(CONTINUE, waiting.answer(value)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(answer, ("allow", "block")))

    assert sorted(statuses) == [200, 404]
    winner = ("allow", "block")[statuses.index(200)]
    assert final_variables(Execution.objects.get(pk=waiting.execution))["__decision__"] == winner


def test_soa_034_another_tenants_step_is_404(api: Api, theirs: Waiting, stranger: Api) -> None:
    assert_error(api.post(CONTINUE, theirs.answer()), 404)
    assert_still_waiting(stranger, theirs)


@pytest.mark.parametrize("role", ["viewer", "threat_hunter"])
def test_soa_035_who_may_only_read_may_not_answer(api: Api, tenant: Tenant, waiting: Waiting, role: str) -> None:
    caller = make_caller(tenant, role)

    assert caller.get(waiting.path).status_code == 200
    assert_error(caller.post(CONTINUE, waiting.answer()), 403)
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_soa_037_what_is_no_json_is_415(api: Api, waiting: Waiting, media_type: str) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(), content_type=media_type), 415)
    assert_still_waiting(api, waiting)


def test_soa_038_a_value_alone_is_enough(api: Api, waiting: Waiting) -> None:
    assert api.post(CONTINUE, waiting.answer(response_out_args={"__decision__": {"value": "allow"}})).status_code == 200


def test_soa_039_a_type_that_is_not_the_definitions_is_refused(api: Api, waiting: Waiting) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(response_out_args=given(type="integer"))), 400, says="__decision__")
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize(
    "out_args", [[], "x", 7, {"__decision__": "allow"}, {"__decision__": {"name": "__decision__"}}]
)
def test_variables_have_a_shape(api: Api, waiting: Waiting, out_args: Any) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(response_out_args=out_args)), 400)
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer", "5x"), ("integer", []), ("integer", {}), ("integer", True), ("integer", 5.5),
        ("bool", "yes"), ("bool", 1),
        ("ipv4-addr", "1.2.3"), ("ipv4-addr", "1.2.3.4; id"), ("ipv4-addr", "1.2.3.4 5"),
    ],
)  # fmt: skip
def test_a_value_fits_its_type_or_is_refused(api: Api, type_: str, value: Any) -> None:
    waiting = start(api, manual_playbook(playbook_variables={"__decision__": variable(type_)}))

    assert_error(api.post(CONTINUE, waiting.answer(response_out_args={"__decision__": {"value": value}})), 400)
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize(
    ("type_", "value", "text"), [("integer", 7, "7"), ("bool", True, "true"), ("string", 1.10, "1.1")]
)
def test_a_json_value_is_stored_as_text(api: Api, type_: str, value: Any, text: str) -> None:
    waiting = start(api, manual_playbook(playbook_variables={"__decision__": variable(type_)}))

    assert api.post(CONTINUE, waiting.answer(response_out_args={"__decision__": {"value": value}})).status_code == 200
    assert final_variables(Execution.objects.get(pk=waiting.execution))["__decision__"] == text


def test_soa_041_newer_names_are_accepted(api: Api, waiting: Waiting) -> None:
    [item] = read(api.get("/manual"))
    body = waiting.answer(execution_id=..., step_id=..., run_id=waiting.execution, step_run_id=item["step_run_id"])

    assert api.post(CONTINUE, body).status_code == 200


def test_names_of_one_thing_that_differ_are_refused(api: Api, waiting: Waiting) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(run_id=str(uuid4()))), 400, says="run_id")
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize("name", ["x_unknown", "payload", "tenant_id", "status", "id"])
def test_an_unknown_field_is_refused_by_name(api: Api, waiting: Waiting, name: str) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(**{name: "x"})), 400, says=name)
    assert_still_waiting(api, waiting)


@pytest.mark.parametrize("name", ["execution_id", "step_id"])
@pytest.mark.parametrize("value", [..., None, 7, {}])
def test_the_ids_are_needed_and_are_text(api: Api, waiting: Waiting, name: str, value: Any) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(**{name: value})), 400, says=name)


def test_an_execution_id_that_is_no_uuid_is_refused(api: Api, waiting: Waiting) -> None:
    assert_error(api.post(CONTINUE, waiting.answer(execution_id="E")), 400, says="execution_id")
