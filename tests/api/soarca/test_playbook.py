"""/playbook, /playbook/meta and /playbook/{id}."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from executions.models import Execution
from playbooks.models import Playbook, PlaybookVersion
from tests.api.soarca.calls import (
    STEP,
    Api,
    Json,
    assert_error,
    manual_playbook,
    read,
    store,
    variables_playbook,
    with_step,
    without_path,
)

pytestmark = pytest.mark.django_db
SECRET = "correct horse battery"


def unknown() -> str:
    return f"/playbook/playbook--{uuid4()}"


def test_soa_046_nothing_stored_is_an_empty_array(api: Api) -> None:
    response = api.get("/playbook/")

    assert response.status_code == 200
    assert response.content == b"[]"


def test_soa_047_the_list_holds_whole_documents_newest_first(api: Api) -> None:
    first, second = manual_playbook(), manual_playbook()
    store(api, first)
    store(api, second)

    assert read(api.get("/playbook")) == [second, first]
    assert api.get("/playbook").content == api.get("/playbook/").content


def test_soa_049_what_was_sent_is_answered_and_given_back_octet_for_octet(api: Api) -> None:
    document = manual_playbook(x_unknown={"z": 1, "a": [1.10, 9007199254740993]}, extension_definitions={"": {}})
    octets = b"  " + json.dumps(document, indent=3).replace("1.1,", "1.10,").encode()
    assert b"1.10," in octets

    response = api.post("/playbook", octets)

    assert response.status_code == 201, response.content
    assert response["Content-Type"] == "application/json"
    assert response.content == octets
    assert api.get(f"/playbook/{document['id']}").content == octets


def test_soa_050_an_id_that_exists_is_a_conflict(api: Api) -> None:
    document = manual_playbook()
    store(api, document)

    assert_error(api.post("/playbook", document), 409, original="POST /playbook")
    assert PlaybookVersion.objects.count() == 1


def test_an_id_that_another_tenant_has_is_free(api: Api, stranger: Api) -> None:
    document = manual_playbook()
    store(stranger, document)
    store(api, document)


def test_soa_051_a_reference_that_leads_nowhere_is_named(api: Api) -> None:
    body = assert_error(
        api.post("/playbook", manual_playbook(workflow_start="start--none")), 400, says="workflow_start"
    )

    assert "start-unresolved" in {finding["code"] for finding in body["findings"]}
    assert not Playbook.objects.exists()


def test_soa_051_a_step_that_leads_nowhere_is_named(api: Api) -> None:
    document = with_step(manual_playbook(), on_success="action--none")

    assert_error(api.post("/playbook", document), 400, says="action--none")


def test_soa_053_a_cycle_without_while_is_refused(api: Api) -> None:
    document = with_step(manual_playbook(), on_success=STEP)

    assert_error(api.post("/playbook", document), 400)
    assert not Playbook.objects.exists()


@pytest.mark.parametrize("name", ["type", "spec_version", "id", "workflow", "workflow_start", "name"])
@pytest.mark.parametrize("value", [..., None, 7, {}, ""])
def test_a_required_field_is_needed_and_named(api: Api, name: str, value: Any) -> None:
    document = {key: kept for key, kept in (manual_playbook() | {name: value}).items() if kept is not ...}

    response = api.post("/playbook", document)

    assert_error(response, 400)
    assert name in read(response)["message"]
    assert not Playbook.objects.exists()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"7", b"null", b'"text"', b"", b"{", b'{"a":1,"a":1}', b'{"a":1e999}'])
def test_what_is_no_playbook_is_refused(api: Api, body: bytes) -> None:
    assert_error(api.post("/playbook", body), 400, original="POST /playbook")


def test_an_empty_object_is_refused_by_its_first_missing_field(api: Api) -> None:
    assert_error(api.post("/playbook", b"{}"), 400, says="type")


def test_a_playbook_may_hold_u0000_and_gives_it_back(api: Api) -> None:
    document = manual_playbook(x_note="a\x00b", description="c\x00d")
    store(api, document)

    assert read(api.get(f"/playbook/{document['id']}")) == document


def test_only_json_is_taken(api: Api) -> None:
    assert_error(api.post("/playbook", manual_playbook(), content_type="text/plain"), 415)


def test_a_body_over_5_mib_is_refused(api: Api) -> None:
    assert_error(api.post("/playbook", b" " * (5 * 2**20 + 1)), 413)


def test_writing_needs_the_permission(viewer: Api, api: Api) -> None:
    document = manual_playbook()
    assert_error(viewer.post("/playbook", document), 403)
    store(api, document)

    assert_error(viewer.put(f"/playbook/{document['id']}", document), 403)
    assert_error(viewer.delete(f"/playbook/{document['id']}"), 403)
    assert viewer.get(f"/playbook/{document['id']}").status_code == 200


def test_soa_054_meta_is_a_list_of_facts_and_never_a_playbook(api: Api) -> None:
    document = manual_playbook(labels=["one"], valid_until="2126-01-01T00:00:00Z")
    store(api, document)

    response = api.get("/playbook/meta")

    assert response.status_code == 200
    assert read(response) == [
        {
            "id": document["id"],
            "name": document["name"],
            "description": document["description"],
            "created": document["created"],
            "valid_from": None,
            "valid_until": "2126-01-01T00:00:00Z",
            "labels": ["one"],
        }
    ]


@pytest.mark.parametrize("form", ["with prefix", "bare", "upper case"])
def test_soa_055_a_playbook_is_given_by_its_id(api: Api, form: str) -> None:
    document = variables_playbook()
    store(api, document)
    uuid = document["id"].removeprefix("playbook--")
    path = {"with prefix": document["id"], "bare": uuid, "upper case": f"playbook--{uuid.upper()}"}[form]

    response = api.get(f"/playbook/{path}")

    assert response.status_code == 200
    assert read(response) == document


def test_soa_057_another_tenants_playbook_answers_like_an_unknown_one(api: Api, stranger: Api) -> None:
    theirs = store(stranger, manual_playbook())

    foreign = assert_error(api.get(f"/playbook/{theirs}"), 400, original=f"GET /playbook/{theirs}")
    missing = assert_error(api.get(unknown()), 400)
    assert without_path(foreign) == without_path(missing)
    assert read(api.get("/playbook")) == []
    assert read(api.get("/playbook/meta")) == []


@pytest.fixture
def running(api: Api) -> tuple[Json, str]:
    """A stored playbook, and an execution of it that waits."""
    document = variables_playbook()
    store(api, document)
    response = api.post(f"/trigger/playbook/{document['id']}")
    assert response.status_code == 200, response.content
    return document, read(response)["execution_id"]


def test_soa_058_a_change_is_a_version_and_running_executions_keep_theirs(api: Api, running: tuple[Json, str]) -> None:
    document, execution = running
    changed = document | {"name": "Changed", "modified": "2026-02-01T00:00:00.000Z"}

    response = api.put(f"/playbook/{document['id']}", changed)

    assert response.status_code == 200, response.content
    assert read(response) == changed
    assert read(api.get(f"/playbook/{document['id']}")) == changed
    assert Execution.objects.get(pk=execution).version.number == 1
    assert [version.number for version in PlaybookVersion.objects.order_by("number")] == [1, 2]


@pytest.mark.parametrize("modified", ["2026-01-21T14:14:23.263Z", "2020-01-01T00:00:00.000Z", ...])
def test_a_modified_that_is_not_later_is_set_to_now_and_nothing_else_changes(api: Api, modified: Any) -> None:
    document = manual_playbook(created="2019-01-21T14:14:23.263Z")
    store(api, document)
    sent = {key: kept for key, kept in (document | {"name": "Two", "modified": modified}).items() if kept is not ...}
    octets = json.dumps(sent, indent=1).encode()

    response = api.put(f"/playbook/{document['id']}", octets)

    assert response.status_code == 200, response.content
    answered = read(response)
    assert answered["modified"] > "2026-03-01"
    assert {**answered, "modified": ""} == {**sent, "modified": ""}
    if modified is not ...:
        assert response.content == octets.replace(modified.encode(), answered["modified"].encode())
    assert api.get(f"/playbook/{document['id']}").content == response.content


def test_putting_the_same_twice_makes_two_versions(api: Api) -> None:
    document = manual_playbook()
    store(api, document)

    for _ in range(2):
        assert api.put(f"/playbook/{document['id']}", document).status_code == 200
    assert PlaybookVersion.objects.count() == 3
    assert len(read(api.get("/playbook"))) == 1


def test_soa_059_the_id_of_another_playbook_is_refused(api: Api) -> None:
    document = manual_playbook()
    store(api, document)

    assert_error(api.put(f"/playbook/{document['id']}", manual_playbook(name="Other")), 400, says="id")
    assert read(api.get("/playbook")) == [document]


def test_an_invalid_change_changes_nothing(api: Api) -> None:
    document = manual_playbook()
    store(api, document)

    assert_error(api.put(f"/playbook/{document['id']}", document | {"workflow": {}}), 400, says="workflow")
    assert_error(api.put(f"/playbook/{document['id']}", {k: v for k, v in document.items() if k != "name"}), 400)
    assert read(api.get("/playbook")) == [document]


def test_changing_an_unknown_or_a_foreign_playbook_is_refused(api: Api, stranger: Api) -> None:
    document = manual_playbook()
    store(stranger, document)

    assert_error(api.put(f"/playbook/{document['id']}", document), 400, says="Failed to load playbook")
    assert read(stranger.get("/playbook")) == [document]


def test_deleting_archives_and_keeps_executions_and_reports(api: Api, running: tuple[Json, str]) -> None:
    document, execution = running

    response = api.delete(f"/playbook/{document['id']}")

    assert response.status_code == 200
    assert response.content == b""
    assert_error(api.get(f"/playbook/{document['id']}"), 400)
    assert read(api.get("/playbook")) == []
    assert read(api.get(f"/reporter/{execution}"))["playbook_id"] == document["id"]
    store(api, document)


def test_soa_061_deleting_an_unknown_playbook_is_400(api: Api) -> None:
    assert_error(api.delete(unknown()), 400)
    assert_error(api.delete(unknown() + "/"), 400)


def with_secret() -> Json:
    login = "http-basic--d1d1d1d1-0000-4000-8000-000000000001"
    return manual_playbook(
        authentication_info_definitions={login: {"type": "http-basic", "username": "ada", "password": SECRET}}
    )


def test_a_literal_secret_is_masked_for_who_may_not_read_it_and_the_mask_is_never_stored(api: Api, viewer: Api) -> None:
    document = with_secret()
    store(api, document)
    path = f"/playbook/{document['id']}"

    assert read(api.get(path)) == document
    shown = viewer.get(path)
    assert SECRET.encode() not in shown.content
    assert SECRET.encode() not in viewer.get("/playbook").content
    assert SECRET.encode() not in bytes(PlaybookVersion.objects.get().document)
    assert_error(api.put(path, shown.content), 400, says="stars")
    assert read(api.get(path)) == document


def test_ids_of_other_shapes_find_nothing(api: Api) -> None:
    assert_error(api.get("/playbook/x"), 404)
    assert_error(api.get("/playbook/playbook--x"), 400)
    assert_error(api.get("/playbook/playbook--x/steps"), 404)
    assert_error(api.get("/playbook/playbook--%0a"), 404)
