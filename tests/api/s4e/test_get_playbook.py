"""GET /api/playbooks/{id}"""

from __future__ import annotations

import pytest

from tests.api.s4e.calls import SEED, Api, data, error, read


def test_s4e_042_the_detail_has_the_whole_definition(api: Api, main: str) -> None:
    told = data(api.get(f"/api/playbooks/{main}"))

    assert told.keys() >= {
        "id", "name", "version", "description", "trigger", "steps", "on_failure", "timeout_minutes", "tags",
        "step_count", "created_at", "updated_at",
    }  # fmt: skip
    assert told["id"] == main
    assert told["version"] == "1.2.0"
    assert len(told["steps"]) == told["step_count"] == 5
    assert told["steps"][0]["id"] == "notify"


def test_steps_are_given_back_as_sent_and_defaults_are_filled_in(api: Api) -> None:
    told = data(api.get(f"/api/playbooks/{api.made(on_failure=None, timeout_minutes=None, tags=None)}"))

    assert told["steps"] == SEED["steps"]
    assert (told["on_failure"], told["timeout_minutes"], told["tags"], told["inputs"]) == ("abort", None, [], {})
    assert told["trigger"] == {"event": "finding.new", "conditions": {"severity": "critical"}}


def test_a_trigger_without_conditions_shows_none(api: Api) -> None:
    told = data(api.get(f"/api/playbooks/{api.made(trigger={'event': 'manual'})}"))

    assert told["trigger"] == {"event": "manual", "conditions": {}}


def test_s4e_043_an_unknown_playbook_is_not_found(api: Api) -> None:
    error(api.get("/api/playbooks/pb-nope"), 404, "not_found")


def test_another_tenants_playbook_answers_like_a_missing_one(api: Api, stranger: Api, main: str) -> None:
    foreign, missing = stranger.get(f"/api/playbooks/{main}"), stranger.get("/api/playbooks/pb-nope")

    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)


@pytest.mark.parametrize("id", ["nope", "PB-x", "pb-", "pb--x", "pb-%0a", "pb-a%00", "playbook--1", "pb-" + "x" * 200])
def test_what_is_no_id_is_not_found(api: Api, id: str) -> None:
    error(api.get(f"/api/playbooks/{id}"), 404, "not_found")


def test_s4e_045_names_beside_the_ids_are_no_playbooks(api: Api) -> None:
    response = api.get("/api/playbooks/import")

    error(response, 405, "method_not_allowed")
    assert response["Allow"] == "POST"
    assert api.get("/api/playbooks/executions").status_code == 404
    assert api.get("/api/playbooks/incidents").status_code == 404


def test_s4e_046_one_slash_at_the_end_changes_nothing(api: Api, main: str) -> None:
    plain, slashed = api.get(f"/api/playbooks/{main}"), api.get(f"/api/playbooks/{main}/")

    assert slashed.status_code == 200
    assert read(plain) == read(slashed)


def test_s4e_047_without_credentials_there_is_nothing(main: str) -> None:
    error(Api().get(f"/api/playbooks/{main}"), 401, "unauthorized")
