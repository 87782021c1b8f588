"""GET /manual and GET /manual/{execution-id}/{step-id}."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Tenant
from manual.models import ManualRequest
from tests.api.soarca.calls import (
    STEP,
    TARGET,
    Api,
    Waiting,
    assert_error,
    make_tenant,
    manual_playbook,
    read,
    start,
    with_step,
    without_path,
)

pytestmark = pytest.mark.django_db


def test_soa_001_nothing_waiting_is_a_bare_empty_array(api: Api) -> None:
    response = api.get("/manual")

    assert response.status_code == 200
    assert response.content == b"[]"


def test_soa_002_what_waits_is_listed_with_both_generations_of_names(api: Api, waiting: Waiting) -> None:
    [item] = read(api.get("/manual"))

    assert item["type"] == "manual-step-information"
    assert item["execution_id"] == item["run_id"] == waiting.execution
    assert item["playbook_id"] == waiting.playbook
    assert item["step_id"] == STEP
    assert item["step_run_id"] == item["step_execution_id"] == str(ManualRequest.objects.get().step_run_id)
    assert item["description"] == "The step's own words"
    assert item["command"] == "allow or block?"
    assert item["command_is_base64"] is False
    assert item["commandb64"] is False
    assert item["commands"] == [{"description": "", "command": "allow or block?", "commandb64": False}]
    assert item["target"] == item["targets"][TARGET]
    assert item["target"] == {
        "type": "individual",
        "name": "soc",
        "description": "",
        "location": {"name": "here"},
        "agent_target_extensions": {},
    }


def test_soa_003_out_args_carry_their_whole_definition(api: Api, waiting: Waiting) -> None:
    [item] = read(api.get("/manual"))

    assert item["out_args"]["__decision__"] == {
        "type": "string",
        "name": "__decision__",
        "description": "",
        "value": None,
        "constant": False,
        "external": False,
    }


def test_soa_005_what_waits_in_another_tenant_is_not_listed(api: Api, waiting: Waiting, theirs: Waiting) -> None:
    assert [item["execution_id"] for item in read(api.get("/manual"))] == [waiting.execution]


def test_soa_006_without_credentials_it_is_401(anonymous: Api) -> None:
    response = anonymous.get("/manual")

    assert_error(response, 401, original="GET /manual")
    assert response["WWW-Authenticate"] == "Bearer"


def test_soa_007_a_trailing_slash_changes_nothing(api: Api, waiting: Waiting) -> None:
    response = api.get("/manual/")

    assert response.status_code == 200
    assert response.content == api.get("/manual").content


def test_a_command_given_as_base64_is_shown_as_base64(api: Api) -> None:
    encoded = base64.b64encode(b"call the owner").decode()
    start(api, with_step(manual_playbook(), commands=[{"type": "manual", "command_b64": encoded}]))

    [item] = read(api.get("/manual"))
    assert (item["command"], item["command_is_base64"], item["commandb64"]) == (encoded, True, True)
    assert item["commands"][0] == {"description": "", "command": encoded, "commandb64": True}


def test_all_commands_of_a_step_are_shown(api: Api) -> None:
    commands = [{"type": "manual", "command": text, "description": f"{text}!"} for text in ("first", "second")]
    start(api, with_step(manual_playbook(), commands=commands))

    [item] = read(api.get("/manual"))
    assert [command["command"] for command in item["commands"]] == ["first", "second"]
    assert (item["command"], item["description"]) == ("first", "first!")


def test_a_step_without_targets_has_an_empty_target(api: Api) -> None:
    start(api, with_step(manual_playbook(), targets=[]))

    [item] = read(api.get("/manual"))
    assert (item["target"], item["targets"]) == ({}, {})


def test_a_target_is_shown_without_its_authentication(api: Api) -> None:
    document = manual_playbook()
    login = "http-basic--d1d1d1d1-0000-4000-8000-000000000001"
    document["authentication_info_definitions"] = {
        login: {"type": "http-basic", "username": "ada", "password": "correct horse"}
    }
    document["target_definitions"][TARGET] = {
        "type": "http-api", "name": "api", "address": {"dname": ["example.org"]}, "authentication_info": login,
    }  # fmt: skip
    start(api, document)

    content = api.get("/manual").content
    assert b"correct horse" not in content
    assert login.encode() not in content


def test_listing_takes_as_many_queries_for_ten_as_for_one(
    api: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(10):
        start(api, manual_playbook())

    with django_assert_max_num_queries(5):
        assert len(read(api.get("/manual"))) == 10


def test_soa_010_one_step_is_one_object_with_the_fields_of_the_list(api: Api, waiting: Waiting) -> None:
    [item] = read(api.get("/manual"))

    response = api.get(waiting.path)
    assert response.status_code == 200
    assert read(response) == item


@pytest.mark.parametrize("form", ["bare", "step run", "upper case"])
def test_a_step_has_several_names(api: Api, waiting: Waiting, form: str) -> None:
    names = {
        "bare": STEP.removeprefix("action--"),
        "step run": str(ManualRequest.objects.get().step_run_id),
        "upper case": STEP.removeprefix("action--").upper(),
    }

    assert read(api.get(f"/manual/{waiting.execution.upper()}/{names[form]}"))["step_id"] == STEP


def test_soa_011_an_unknown_step_is_404(api: Api, waiting: Waiting) -> None:
    path = f"/manual/{waiting.execution}/action--{uuid4()}"

    assert_error(api.get(path), 404, original=f"GET {path}", says="Pending command not found")


@pytest.mark.parametrize("execution", ["not-a-uuid", "00000000-0000-4000-8000-00000000000", "null", "%7B%7D"])
def test_soa_013_an_execution_id_that_is_no_uuid_is_400(api: Api, execution: str) -> None:
    assert_error(api.get(f"/manual/{execution}/{STEP}"), 400, says="execution id")


def test_soa_014_another_tenants_step_answers_like_an_unknown_one(api: Api, theirs: Waiting) -> None:
    foreign = assert_error(api.get(theirs.path), 404, original=f"GET {theirs.path}")
    unknown = assert_error(api.get(f"/manual/{uuid4()}/{STEP}"), 404)

    assert without_path(foreign) == without_path(unknown)


def test_soa_015_after_the_answer_nothing_waits_there(api: Api, waiting: Waiting) -> None:
    assert api.post("/manual/continue", waiting.answer()).status_code == 200

    assert_error(api.get(waiting.path), 404)
    assert read(api.get("/manual")) == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_soa_017_continue_is_never_read_as_an_execution_id(api: Api, waiting: Waiting, method: str) -> None:
    response = api.send(method, "/manual/continue")

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert len(read(api.get("/manual"))) == 1


@pytest.mark.parametrize("key", ["s4e_live_nothing", "x" * 5000])
def test_wrong_credentials_are_401(waiting: Waiting, key: str) -> None:
    assert_error(Api(key).get("/manual"), 401)


def test_the_open_tenant_acts_without_credentials(
    anonymous: Api, tenant: Tenant, waiting: Waiting, theirs: Waiting, settings: Settings
) -> None:
    settings.SALLYPORT_SOARCA_OPEN_TENANT = tenant.slug

    assert [item["execution_id"] for item in read(anonymous.get("/manual"))] == [waiting.execution]
    assert anonymous.post("/manual/continue", waiting.answer()).status_code == 200
    assert_error(Api("s4e_live_wrong").get("/manual"), 401)


def test_a_closed_or_unknown_open_tenant_opens_nothing(anonymous: Api, settings: Settings) -> None:
    settings.SALLYPORT_SOARCA_OPEN_TENANT = "no-such-tenant"
    assert_error(anonymous.get("/manual"), 401)

    closed = make_tenant()
    closed.is_active = False
    closed.save()
    settings.SALLYPORT_SOARCA_OPEN_TENANT = closed.slug
    assert_error(anonymous.get("/manual"), 401)


@pytest.mark.django_db(transaction=True)
def test_soa_009_while_the_database_is_down_it_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    try:
        response = api.get("/manual")
    finally:
        monkeypatch.undo()
        connection.close()

    assert_error(response, 503, original="GET /manual")
    assert int(response["Retry-After"]) > 0
