"""POST /trigger/playbook and POST /trigger/playbook/{id}."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from executions.models import Execution
from executions.selectors import final_variables
from playbooks.models import Playbook, PlaybookVersion
from tests.api.soarca.calls import (
    Api,
    Json,
    assert_error,
    manual_playbook,
    read,
    store,
    variable,
    variables_playbook,
    without_path,
)

pytestmark = pytest.mark.django_db
TRIGGER = "/trigger/playbook"
ROASTER = {"Origin": "https://roaster.example.org"}

WAZUH = {
    "__id__": ("string", "1580123327.49031"),
    "__rule_id__": ("integer", "5712"),
    "__rule_level__": ("integer", "10"),
    "__times_fired__": ("integer", "3"),
    "__affected_agent_name__": ("string", "web-1"),
    "__affected_agent_ip__": ("ipv4-addr", "192.0.2.7"),
    "__user__": ("string", "root"),
    "__path__": ("string", "/var/log/auth.log"),
    "__full_log_message__": ("string", 'Jan 1 sshd[1]: "bad"; $(id)'),
}


@pytest.fixture
def stored(api: Api) -> str:
    return store(api, variables_playbook())


def variables_of(response: Any) -> dict[str, Any]:
    return final_variables(Execution.objects.get(pk=read(response)["execution_id"]))


def test_soa_062_a_whole_playbook_is_started_and_reported_and_not_listed(api: Api) -> None:
    document = manual_playbook()

    response = api.post(TRIGGER, document)

    assert response.status_code == 200, response.content
    started = read(response)
    assert UUID(started["execution_id"]) == UUID(started["run_id"])
    assert started["payload"] == started["playbook_id"] == document["id"]
    assert api.get(f"/reporter/{started['execution_id']}").status_code == 200
    assert read(api.get("/playbook")) == []
    assert_error(api.get(f"/playbook/{document['id']}"), 400)


def test_a_whole_playbook_may_have_the_id_of_a_stored_one_and_leaves_that_alone(api: Api) -> None:
    document = manual_playbook()
    store(api, document)

    assert api.post(TRIGGER, document | {"name": "Another"}).status_code == 200
    assert read(api.get("/playbook")) == [document]


def test_soa_063_a_document_without_workflow_starts_nothing(api: Api) -> None:
    document = {name: value for name, value in manual_playbook().items() if name != "workflow"}

    body = assert_error(api.post(TRIGGER, document), 400, original="POST /trigger/playbook", says="workflow")

    assert body["message"].startswith("Failed to decode playbook")
    assert not Execution.objects.exists()
    assert not Playbook.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"a":NaN}'])
def test_what_cannot_be_decoded_says_so(api: Api, body: bytes) -> None:
    answered = assert_error(api.post(TRIGGER, body), 400)

    assert answered["message"] == "Failed to decode playbook"
    assert answered["downstream-call"]


def test_soa_065_other_origins_may_read_answers_and_errors(api: Api) -> None:
    good = api.post(TRIGGER, manual_playbook(), **ROASTER)
    bad = api.post(TRIGGER, b"{", **ROASTER)

    assert (good.status_code, good["Access-Control-Allow-Origin"]) == (200, "*")
    assert (bad.status_code, bad["Access-Control-Allow-Origin"]) == (400, "*")


def test_soa_066_a_trailing_slash_keeps_the_body(api: Api) -> None:
    assert api.post(f"{TRIGGER}/", manual_playbook()).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked": True},
        {"valid_from": "2126-01-01T00:00:00Z"},
        {"valid_until": "2020-01-01T00:00:00Z"},
    ],
)
def test_soa_067_a_revoked_or_not_valid_playbook_is_not_started(api: Api, changes: Json) -> None:
    document = variables_playbook(**changes)

    body = assert_error(api.post(TRIGGER, document), 400)
    assert body["message"].startswith("Cannot execute. reason:")
    assert not Playbook.objects.exists()

    store(api, document)
    assert_error(api.post(f"{TRIGGER}/{document['id']}"), 400, says="Cannot execute. reason:")
    assert not Execution.objects.exists()


def test_a_playbook_without_name_is_not_started(api: Api) -> None:
    document = {name: value for name, value in manual_playbook().items() if name != "name"}

    assert_error(api.post(TRIGGER, document), 400, says="name")
    assert not Playbook.objects.exists()


@pytest.mark.parametrize("body", [None, b"", b"{}", {}])
def test_soa_069_an_empty_body_is_no_variables(api: Api, stored: str, body: Any) -> None:
    response = api.post(f"{TRIGGER}/{stored}", body)

    assert response.status_code == 200, response.content
    assert read(response)["playbook_id"] == stored
    assert variables_of(response)["__ip__"] == "198.51.100.1"


def test_soa_070_a_value_is_seen_by_the_execution_and_the_playbook_is_unchanged(api: Api) -> None:
    document = variables_playbook()
    store(api, document)

    response = api.post(f"{TRIGGER}/{document['id']}", {"__ip__": {"type": "ipv4-addr", "value": "192.0.2.1"}})

    assert response.status_code == 200, response.content
    assert variables_of(response)["__ip__"] == "192.0.2.1"
    assert read(api.get(f"/playbook/{document['id']}")) == document


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        pytest.param({"__nope__": {"type": "string", "value": "x"}}, "__nope__", id="SOA-071"),
        pytest.param({"__secret__": {"type": "string", "value": "x"}}, "__secret__", id="SOA-073"),
        ({"__ip__": {"type": "string", "value": "192.0.2.1"}}, "__ip__"),
        ({"__ip__": {"value": "192.0.2.1"}}, "__ip__"),
        ({"__ip__": {"type": "ipv4-addr"}}, "__ip__"),
        ({"__ip__": {"type": "ipv4-addr", "value": None}}, "__ip__"),
        ({"__ip__": {"type": "ipv4-addr", "value": "192.0.2.1; id"}}, "__ip__"),
        ({"__ip__": {"type": "ipv4-addr", "value": "192.0.2.1", "name": "__user__"}}, "__ip__"),
        ({"__ip__": "192.0.2.1"}, "__ip__"),
        ({"__ip__": {"type": 7, "value": "192.0.2.1"}}, "__ip__"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_by_name(api: Api, stored: str, variables: Json, named: str) -> None:
    body = assert_error(api.post(f"{TRIGGER}/{stored}", variables), 400, says=named)

    assert body["message"].startswith("Cannot execute. reason:")
    assert not Execution.objects.exists()


def test_an_external_variable_without_value_must_be_given(api: Api) -> None:
    document = manual_playbook(playbook_variables={"__decision__": variable(), "__host__": variable(external=True)})
    store(api, document)

    assert_error(api.post(f"{TRIGGER}/{document['id']}"), 400, says="__host__")
    assert_error(api.post(TRIGGER, document), 400, says="__host__")


def test_soa_074_an_unknown_playbook_is_400(api: Api, stranger: Api) -> None:
    theirs = store(stranger, manual_playbook())

    unknown = assert_error(api.post(f"{TRIGGER}/playbook--{uuid4()}", {}), 400)
    foreign = assert_error(api.post(f"{TRIGGER}/{theirs}", {}), 400)
    assert unknown["message"] == "Failed to load playbook"
    assert without_path(unknown) == without_path(foreign)


def test_soa_075_wazuhs_nine_variables(api: Api) -> None:
    declared = {name: variable(type_, external=True) for name, (type_, _) in WAZUH.items()}
    document = manual_playbook(playbook_variables={"__decision__": variable(), **declared})
    store(api, document)
    sent = {name: variable(type_, value=value, external=True, constant=True) for name, (type_, value) in WAZUH.items()}

    response = api.post(f"{TRIGGER}/{document['id']}", sent)

    assert response.status_code == 200, response.content
    held = variables_of(response)
    assert {name: held[name] for name in WAZUH} == {name: value for name, (_, value) in WAZUH.items()}


@pytest.mark.django_db(transaction=True)
def test_soa_077_two_starts_at_once_each_get_their_own_id(api: Api) -> None:
    stored = store(api, variables_playbook())
    started = at_once(2, lambda: api.post(f"{TRIGGER}/{stored}", {}))

    ids = {read(response)["execution_id"] for response in started}
    assert len(ids) == 2
    assert {str(pk) for pk in Execution.objects.values_list("pk", flat=True)} == ids


@pytest.mark.django_db(transaction=True)
def test_soa_078_one_start_for_one_idempotency_key(api: Api) -> None:
    stored = store(api, variables_playbook())
    key = {"Idempotency-Key": "alert-1"}
    started = at_once(4, lambda: api.post(f"{TRIGGER}/{stored}", {}, **key))

    assert {response.status_code for response in started} == {200}
    assert len({response.content for response in started}) == 1
    assert Execution.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_whole_playbook_is_stored_and_started_once_for_one_key(api: Api) -> None:
    document = manual_playbook()
    started = at_once(4, lambda: api.post(TRIGGER, document, **{"Idempotency-Key": "alert-1"}))

    assert len({response.content for response in started}) == 1
    assert (Execution.objects.count(), PlaybookVersion.objects.count()) == (1, 1)


def test_a_key_with_another_body_is_a_conflict(api: Api, stored: str) -> None:
    key = {"Idempotency-Key": "alert-1"}
    api.post(f"{TRIGGER}/{stored}", {}, **key)

    assert_error(api.post(f"{TRIGGER}/{stored}", {"__user__": {"type": "string", "value": "x"}}, **key), 409)
    assert Execution.objects.count() == 1


def test_keys_belong_to_their_tenant(api: Api, stranger: Api) -> None:
    document, key = manual_playbook(), {"Idempotency-Key": "alert-1"}

    mine, theirs = (read(caller.post(TRIGGER, document, **key)) for caller in (api, stranger))
    assert mine["execution_id"] != theirs["execution_id"]


def test_starting_needs_the_permission(viewer: Api, stored: str) -> None:
    assert_error(viewer.post(f"{TRIGGER}/{stored}", {}), 403)
    assert_error(viewer.post(TRIGGER, manual_playbook()), 403)
    assert not Execution.objects.exists()


def test_a_disabled_playbook_is_not_started(api: Api, stored: str) -> None:
    Playbook.objects.update(is_enabled=False)

    assert_error(api.post(f"{TRIGGER}/{stored}"), 400, says="disabled")
    assert not Execution.objects.exists()


def test_get_is_405(api: Api, stored: str) -> None:
    assert_error(api.get(TRIGGER), 405)
    assert_error(api.get(f"{TRIGGER}/{stored}"), 405)


def at_once(count: int, call: Any) -> list[Any]:
    barrier = Barrier(count)

    def one(_: int) -> Any:
        try:
            barrier.wait()
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
