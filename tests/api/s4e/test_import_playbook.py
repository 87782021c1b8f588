"""POST /api/playbooks/import"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from accounts.models import Tenant
from core import strict_json
from playbooks.models import Playbook
from playbooks.selectors import document_of, latest_version
from tests.api.s4e.calls import SEED, Api, Json, data, error, invalid, read
from tests.api.s4e.test_export_playbook import RICH

IMPORT = "/api/playbooks/import"
START = "start--00000000-0000-4000-8000-000000000001"
ASK = "action--00000000-0000-4000-8000-000000000002"
CHOOSE = "if-condition--00000000-0000-4000-8000-000000000003"
FORK = "parallel--00000000-0000-4000-8000-000000000004"
LEFT = "action--00000000-0000-4000-8000-000000000005"
RIGHT = "action--00000000-0000-4000-8000-000000000006"
LOOP = "while-condition--00000000-0000-4000-8000-000000000007"
ENDS = [f"end--00000000-0000-4000-8000-00000000001{n}" for n in range(6)]
PEOPLE = "group--00000000-0000-4000-8000-000000000020"
MACHINE = "http-api--00000000-0000-4000-8000-000000000021"


def document(**changes: Any) -> Json:
    """A strictly right playbook: a manual step, a condition, a parallel, HTTP calls."""

    def call(end: str) -> Json:
        command = {"type": "http-api", "command": "GET /state HTTP/1.1"}
        return {"type": "action", "commands": [command], "agent": MACHINE, "targets": [MACHINE], "on_success": end}

    made: Json = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": "playbook--00000000-0000-4000-8000-0000000000aa",
        "name": "Foreign Playbook",
        "description": "From elsewhere.",
        "created_by": "identity--00000000-0000-4000-8000-0000000000bb",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-02T00:00:00.000Z",
        "labels": ["one", "two"],
        "playbook_variables": {
            "__version__": {"type": "string", "value": "2.3.4", "constant": True},
            "__bad__": {"type": "bool", "value": "true", "external": True},
        },
        "workflow_start": START,
        "workflow": {
            START: {"type": "start", "on_completion": ASK},
            ASK: {
                "type": "action", "name": "Ask", "commands": [{"type": "manual", "command": "Is it so?"}],
                "agent": PEOPLE, "on_success": CHOOSE, "on_failure": ENDS[0], "delay": 3_000, "timeout": 600_000,
            },
            CHOOSE: {
                "type": "if-condition", "name": "Choose", "condition": "__bad__:value = true", "on_true": FORK,
                "on_success": ENDS[0],
            },
            FORK: {"type": "parallel", "name": "Fork", "next_steps": [LEFT, RIGHT], "on_success": ENDS[1]},
            LEFT: call(ENDS[2]),
            RIGHT: call(ENDS[3]),
            **{end: {"type": "end"} for end in ENDS[:4]},
        },
        "agent_definitions": {
            PEOPLE: {"type": "group", "name": "Analysts"},
            MACHINE: {"type": "http-api", "name": "demo", "address": {"dname": ["demo.example"]}},
        },
        "target_definitions": {MACHINE: {"type": "http-api", "name": "demo", "address": {"dname": ["demo.example"]}}},
    }  # fmt: skip
    return made | changes


def with_loop() -> Json:
    made = document(name="With a Loop")
    workflow = made["workflow"]
    workflow[CHOOSE]["on_success"] = LOOP
    body = "action--00000000-0000-4000-8000-000000000008"
    workflow[LOOP] = {
        "type": "while-condition", "name": "Until it is over", "condition": "__bad__:value = true", "on_true": body,
        "on_success": ENDS[0],
    }  # fmt: skip
    workflow[body] = workflow[LEFT] | {"on_success": ENDS[4]}
    workflow[ENDS[4]] = {"type": "end"}
    return made


def test_s4e_089_a_document_is_stored(api: Api, tenant: Tenant) -> None:
    response = api.post(IMPORT, document())

    assert response.status_code == 201
    told = data(response)
    assert told.keys() >= {"id", "name", "version", "step_count", "created_at", "warnings"}
    assert (told["id"], told["name"], told["version"]) == ("pb-foreign-playbook", "Foreign Playbook", "2.3.4")
    assert told["step_count"] == 6  # the delay is a step of its own
    assert Playbook.objects.get(tenant=tenant).cacao_id == document()["id"]


def test_s4e_090_a_dry_run_shows_the_conversion_and_stores_nothing(api: Api, tenant: Tenant) -> None:
    before = read(api.get("/api/playbooks"))["meta"]["total"]
    response = api.post(IMPORT, document(dry_run=True))

    assert response.status_code == 200
    told = data(response)
    assert told["dry_run"] is True
    assert (told["created_at"], told["updated_at"]) == (None, None)
    assert told["tags"] == ["one", "two"]
    assert len(told["steps"]) == told["step_count"] == 6
    assert read(api.get("/api/playbooks"))["meta"]["total"] == before
    assert not Playbook.objects.filter(tenant=tenant).exists()


def test_s4e_090_a_dry_run_of_what_is_stored_already_is_shown_too(api: Api) -> None:
    api.post(IMPORT, document())

    told = data(api.post(IMPORT, document(dry_run=True)))
    assert any("pb-foreign-playbook" in warning for warning in told["warnings"])


def test_s4e_090_dry_run_false_imports_the_document_without_it(api: Api, tenant: Tenant) -> None:
    assert api.post(IMPORT, document(dry_run=False)).status_code == 201
    version = latest_version(Playbook.objects.get(tenant=tenant))
    version.refresh_from_db()
    assert strict_json.loads(document_of(version, reveal=True)) == document()
    invalid(api.post(IMPORT, document(dry_run="yes", name="Other")), "dry_run")


def test_the_octets_are_kept_and_given_back(api: Api) -> None:
    octets = json.dumps(document(), indent=4).encode()
    assert api.post(IMPORT, octets).status_code == 201

    assert api.get("/api/playbooks/pb-foreign-playbook/export").content == octets


@pytest.mark.parametrize("steps", [RICH, SEED["steps"]], ids=["rich", "seed"])
def test_s4e_091_an_export_comes_back_as_it_was(api: Api, steps: list[Json]) -> None:
    first = api.made(
        steps=steps,
        on_failure="retry",
        max_retries=2,
        inputs={"a": {"type": "String", "default": "x"}},
        description="D",
    )
    exported = read(api.get(f"/api/playbooks/{first}/export"))
    second = data(api.post(IMPORT, exported | {"name": "Renamed"}))["id"]

    one, two = data(api.get(f"/api/playbooks/{first}")), data(api.get(f"/api/playbooks/{second}"))
    assert two | {"id": "", "name": "", "created_at": "", "updated_at": ""} == one | {
        "id": "", "name": "", "created_at": "", "updated_at": "",
    }  # fmt: skip
    again = read(api.get(f"/api/playbooks/{second}/export"))
    assert _flow(again) == _flow(exported)
    assert again["id"] != exported["id"]
    assert again["derived_from"] == [exported["id"]]


def test_s4e_091_the_shipped_playbook_comes_back_as_it_was(api: Api, main: str) -> None:
    exported = read(api.get(f"/api/playbooks/{main}/export"))
    second = data(api.post(IMPORT, exported | {"name": "Renamed"}))

    assert second["warnings"] == []
    assert data(api.get("/api/playbooks/pb-renamed"))["steps"] == data(api.get(f"/api/playbooks/{main}"))["steps"]
    assert _flow(read(api.get("/api/playbooks/pb-renamed/export"))) == _flow(exported)


def test_another_tenant_keeps_the_id(api: Api, stranger: Api, main: str) -> None:
    exported = read(api.get(f"/api/playbooks/{main}/export"))
    assert stranger.post(IMPORT, exported).status_code == 201

    foreign = read(stranger.get("/api/playbooks/pb-critical-vulnerability-response/export"))
    assert foreign["id"] == exported["id"]
    assert foreign["workflow"] == exported["workflow"]


def test_an_export_that_was_rewired_stays_cacao_and_says_so(api: Api, main: str) -> None:
    exported = read(api.get(f"/api/playbooks/{main}/export"))
    notify = next(step for step in exported["workflow"].values() if step["name"] == "Notify Security Team")
    notify["on_success"] = next(step for step, one in exported["workflow"].items() if one["type"] == "end")

    told = data(api.post(IMPORT, exported | {"name": "Rewired"}))
    assert any("flow was changed" in warning for warning in told["warnings"])
    shown = data(api.get("/api/playbooks/pb-rewired"))
    # our own step extension wins: what is called is called by name
    assert shown["steps"][0]["type"] == "action"
    assert shown["steps"][0]["action_ref"] == "act-slack-notify"


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow_start": "start--00000000-0000-4000-8000-0000000000ff"},
        {"workflow_start": None},
        {"workflow": {}},
        {"agent_definitions": {}},
        {"type": "bundle"},
    ],
)
def test_s4e_093_a_reference_to_nothing_is_refused(api: Api, tenant: Tenant, changes: Json) -> None:
    told = error(api.post(IMPORT, document(**changes)), 422, "validation_error")

    assert told["details"]
    assert not Playbook.objects.filter(tenant=tenant).exists()


def test_s4e_093_a_missing_step_is_named(api: Api) -> None:
    made = document()
    made["workflow"][LEFT]["on_success"] = "end--00000000-0000-4000-8000-0000000000ff"

    told = error(api.post(IMPORT, made), 422, "validation_error")
    assert any(LEFT in detail["path"] for detail in told["details"])


@pytest.mark.parametrize("version", ["1.1", "cacao-1.1", 2, None])
def test_another_version_of_the_standard_is_refused(api: Api, version: Any) -> None:
    made = {name: value for name, value in document(spec_version=version).items() if value is not None}

    assert "version" in error(api.post(IMPORT, made), 422, "validation_error")["message"]


def test_s4e_094_a_loop_is_kept_with_a_warning(api: Api) -> None:
    preview = data(api.post(IMPORT, with_loop() | {"dry_run": True}))
    told = data(api.post(IMPORT, with_loop()))

    assert any(LOOP in warning for warning in told["warnings"])
    assert preview["warnings"] == told["warnings"]
    shown = {step["id"]: step for step in data(api.get("/api/playbooks/pb-with-a-loop"))["steps"]}
    assert shown[LOOP]["type"] == "loop"


@pytest.mark.parametrize(
    ("octets", "status", "code"),
    [
        (b'{"hello":1}', 422, "validation_error"),
        (b"{", 400, "bad_request"),
        (b'{"type":"playbook","type":"playbook"}', 400, "bad_request"),
        (b"[]", 422, "validation_error"),
    ],
)
def test_s4e_095_what_is_no_playbook_is_refused(api: Api, octets: bytes, status: int, code: str) -> None:
    error(api.post(IMPORT, octets), status, code)


def test_s4e_097_a_command_without_connector_is_kept_with_a_warning(api: Api) -> None:
    made = document(name="Caldera")
    made["workflow"][LEFT]["commands"] = [
        {"type": "caldera-cmd", "command": "id: 00000000-0000-4000-8000-000000000099"}
    ]

    told = data(api.post(IMPORT, made))
    assert any("caldera-cmd" in warning for warning in told["warnings"])


def test_an_unknown_command_type_is_refused_by_name(api: Api) -> None:
    made = document()
    made["workflow"][LEFT]["commands"] = [{"type": "teleport", "command": "x"}]

    assert "teleport" in error(api.post(IMPORT, made), 422, "validation_error")["message"]


def test_s4e_098_a_large_document_is_refused(api: Api) -> None:
    error(api.post(IMPORT, document(description="x" * (10 * 2**20))), 413, "payload_too_large")


def test_s4e_099_the_words_of_cacao_become_those_of_s4e(api: Api) -> None:
    api.post(IMPORT, document())
    told = data(api.get("/api/playbooks/pb-foreign-playbook"))

    shown = {step["id"]: step for step in told["steps"]}
    assert told["tags"] == ["one", "two"]
    assert told["trigger"] == {"event": "manual", "conditions": {}}
    assert told["inputs"] == {"__bad__": {"type": "Boolean", "required": False, "default": "true", "description": ""}}
    wait = told["steps"][0]
    assert (wait["type"], wait["duration_seconds"], wait["on_success"]) == ("delay", 3, ASK)
    assert (shown[ASK]["type"], shown[ASK]["message"]) == ("approval", "Is it so?")
    assert (shown[ASK]["on_approved"], shown[ASK]["on_rejected"], shown[ASK]["timeout_minutes"]) == (CHOOSE, "end", 10)
    assert (shown[CHOOSE]["type"], shown[CHOOSE]["expression"]) == ("condition", "__bad__:value = true")
    assert (shown[FORK]["type"], shown[FORK]["branches"]) == ("parallel", [[LEFT], [RIGHT]])
    assert shown[LEFT]["type"] == "command"


def test_the_same_id_again_is_a_copy_with_a_new_one(api: Api, tenant: Tenant) -> None:
    api.post(IMPORT, document())
    assert api.post(IMPORT, document(name="Another Name")).status_code == 201

    copy = read(api.get("/api/playbooks/pb-another-name/export"))
    assert copy["id"] != document()["id"]
    assert copy["derived_from"] == [document()["id"]]
    assert copy["workflow"] == document()["workflow"]


def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    api.post(IMPORT, document())

    error(api.post(IMPORT, document(id="playbook--00000000-0000-4000-8000-0000000000cc")), 409, "conflict")


def test_a_name_without_letters_is_refused(api: Api) -> None:
    invalid(api.post(IMPORT, document(name="***")), "name")


def test_a_viewer_may_not_import(viewer: Api) -> None:
    error(viewer.post(IMPORT, document()), 403, "forbidden")


def test_a_tenant_may_demand_the_strict_level(api: Api, tenant: Tenant) -> None:
    sloppy = document(name="Sloppy")
    del sloppy["created_by"]
    assert api.post(IMPORT, sloppy | {"dry_run": True}).status_code == 200

    tenant.import_level = "strict"
    tenant.save()
    error(api.post(IMPORT, sloppy), 422, "validation_error")


def test_literal_secrets_are_masked_for_those_who_may_not_read_them(api: Api, viewer: Api, tenant: Tenant) -> None:
    secret = "correct horse battery staple"
    made = document(name="Secret")
    login = "http-basic--00000000-0000-4000-8000-000000000030"
    made["authentication_info_definitions"] = {login: {"type": "http-basic", "user_id": "u", "password": secret}}
    made["target_definitions"][MACHINE]["authentication_info"] = login
    assert api.post(IMPORT, made).status_code == 201
    path = "/api/playbooks/pb-secret/export"

    assert read(api.get(path)) == made
    assert secret not in viewer.get(path).content.decode()
    assert secret not in api.get("/api/playbooks/pb-secret").content.decode()
    version = latest_version(Playbook.objects.get(tenant=tenant))
    version.refresh_from_db()
    assert secret.encode() not in bytes(version.document)
    assert secret not in json.dumps(version.workflow)


@pytest.mark.parametrize(
    "broken",
    [
        {"steps": 7}, {"steps": ["notify", "notify"]}, {"steps": [{}]}, {"ids_of": 7}, {"trigger": []},
        {"inputs": {"a": 1}}, {"on_failure": []}, {"timeout_minutes": "x"},
    ],
)  # fmt: skip
def test_an_extension_that_makes_no_sense_is_kept_and_ignored(api: Api, main: str, broken: Json) -> None:
    exported = deepcopy(read(api.get(f"/api/playbooks/{main}/export"))) | {"name": "Broken"}
    (extension,) = exported["playbook_extensions"].values()
    extension |= broken

    assert api.post(IMPORT, exported).status_code == 201


def test_step_extensions_that_make_no_sense_are_kept_and_ignored(api: Api, main: str) -> None:
    exported = deepcopy(read(api.get(f"/api/playbooks/{main}/export"))) | {"name": "Broken"}
    for number, step in enumerate(exported["workflow"].values()):
        for own in step.get("step_extensions", {}).values():
            own |= [{"step": 7}, {"step": {"id": 7}}, {"delays": 7}, {"delays": [7]}, {"step": {"action_ref": []}}][
                number % 5
            ]

    assert api.post(IMPORT, exported).status_code == 201


def _flow(exported: Json) -> list[Any]:
    """Types, names and pointers in order, with positions instead of ids."""
    places = {step: place for place, step in enumerate(exported["workflow"])}
    pointers = ("on_completion", "on_success", "on_failure", "on_true", "on_false")
    return [
        (
            step["type"], step["name"], step.get("delay"), step.get("timeout"),
            {name: places[step[name]] for name in pointers if name in step},
            [places[first] for first in step.get("next_steps", [])],
        )
        for step in exported["workflow"].values()
    ]  # fmt: skip
