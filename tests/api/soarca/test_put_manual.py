"""PUT /manual/{execution-id}/{step-id}."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.api.soarca.calls import STEP, Api, Json, Waiting, assert_error, read

pytestmark = pytest.mark.django_db

ANSWER: Json = {
    "type": "manual-step-response",
    "response_status": "success",
    "response_out_args": {"__decision__": {"value": "allow"}},
}


@pytest.fixture
def exact(api: Api, waiting: Waiting) -> str:
    [item] = read(api.get("/manual"))
    return f"/manual/{waiting.execution}/{item['step_run_id']}"


def test_soa_042_a_step_run_is_answered(api: Api, waiting: Waiting, exact: str) -> None:
    response = api.put(exact, ANSWER)

    assert response.status_code == 200
    assert read(response)["run_id"] == waiting.execution
    assert read(response)["playbook_id"] == waiting.playbook


def test_soa_043_a_second_answer_finds_nothing(api: Api, exact: str) -> None:
    assert api.put(exact, ANSWER).status_code == 200

    assert_error(api.put(exact, ANSWER), 404, original=f"PUT {exact}", says="Pending command not found")


@pytest.mark.parametrize("name", ["execution_id", "run_id", "playbook_id", "step_id", "step_run_id", "x"])
def test_soa_045_a_field_that_belongs_in_the_path_is_refused_by_name(api: Api, waiting: Waiting, name: str) -> None:
    assert_error(api.put(waiting.path, ANSWER | {name: waiting.execution}), 400, says=name)
    assert api.get(waiting.path).status_code == 200


def test_the_step_is_named_by_its_cacao_id_too(api: Api, waiting: Waiting) -> None:
    assert api.put(waiting.path, ANSWER).status_code == 200


def test_a_viewer_may_not(viewer: Api, api: Api, waiting: Waiting) -> None:
    assert_error(viewer.put(waiting.path, ANSWER), 403)
    assert api.get(waiting.path).status_code == 200


def test_another_tenants_step_is_404(api: Api, theirs: Waiting) -> None:
    assert_error(api.put(theirs.path, ANSWER), 404)


def test_ids_are_checked(api: Api) -> None:
    assert_error(api.put(f"/manual/x/{STEP}", ANSWER), 400, says="execution id")
    assert_error(api.put(f"/manual/{uuid4()}/%0a", ANSWER), 404)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_other_methods_are_405(api: Api, waiting: Waiting, method: str) -> None:
    response = api.send(method, waiting.path, ANSWER)

    assert_error(response, 405)
    assert response["Allow"] == "GET, HEAD, PUT"
