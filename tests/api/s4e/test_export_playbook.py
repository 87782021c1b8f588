"""GET /api/playbooks/{id}/export"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import Tenant
from executions.importing import catalogue_of
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Severity
from tests.api.s4e.calls import (
    SEED,
    Api,
    Json,
    approval,
    condition,
    data,
    delay,
    error,
    invalid,
    parallel,
    read,
    say,
)

CACAO_ROOT = {
    "type", "spec_version", "id", "name", "description", "created_by", "created", "modified", "derived_from", "labels",
    "playbook_variables", "workflow_start", "workflow", "playbook_extensions", "agent_definitions",
    "extension_definitions",
}  # fmt: skip
STEP_ID = re.compile(
    r"(start|end|action|parallel|if-condition)--[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)

#: one of everything
RICH: list[Json] = [
    delay("first", 5),
    condition("c", "finding.severity == 'critical' and finding.score > 7", on_true="ask", on_false="quiet"),
    approval("ask", approvers=["a@example.org"], timeout_minutes=30, on_approved="both", on_rejected="quiet"),
    parallel("both", ["a", "pause"], ["b", "inner", "x"], on_failure="continue"),
    say("a", "__not_a_reference__:value {{ finding.title }}", timeout_minutes=2),
    delay("pause", 90),
    say("b", on_failure="retry"),
    condition("inner", "'production' in {{ finding.asset.tags }}", on_true="x", on_false="end"),
    say("x"),
    say("quiet", on_failure="continue"),
    delay("last", 60, on_success="end"),
]


@pytest.fixture
def exported(api: Api, main: str) -> Json:
    return dict(read(api.get(f"/api/playbooks/{main}/export?format=cacao_v2")))


def export(api: Api, **changes: Any) -> Json:
    return dict(read(api.get(f"/api/playbooks/{api.made(**changes)}/export")))


def test_s4e_081_the_answer_is_the_playbook_itself(api: Api, main: str, exported: Json) -> None:
    assert (exported["type"], exported["spec_version"]) == ("playbook", "cacao-2.0")
    assert exported["name"] == "Critical Vulnerability Response"
    assert exported["labels"] == ["security", "automated", "incident-response"]
    assert exported["playbook_variables"]["__version__"] == {"type": "string", "value": "1.2.0", "constant": True}
    response = api.get(f"/api/playbooks/{main}/export")
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"] == 'attachment; filename="pb-critical-vuln-response.json"'


def test_s4e_082_it_is_strictly_cacao(tenant: Tenant, exported: Json, api: Api, main: str) -> None:
    octets = api.get(f"/api/playbooks/{main}/export").content

    imported = import_document(octets, level="strict", catalogue=catalogue_of(tenant))

    assert [finding for finding in imported.findings if finding.severity == Severity.ERROR] == []
    assert imported.accepted
    assert imported.strict
    assert exported["workflow_start"] in exported["workflow"]
    assert set(_references(exported)) <= set(exported["workflow"])
    assert all(STEP_ID.fullmatch(step) for step in exported["workflow"])


@pytest.mark.parametrize("steps", [RICH, SEED["steps"]], ids=["rich", "seed"])
def test_s4e_082_whatever_the_playbook_it_is_strictly_cacao(api: Api, tenant: Tenant, steps: list[Json]) -> None:
    playbook = api.made(steps=steps)

    octets = api.get(f"/api/playbooks/{playbook}/export").content
    imported = import_document(octets, level="strict", catalogue=catalogue_of(tenant))

    assert [finding for finding in imported.findings if finding.severity == Severity.ERROR] == []
    assert imported.strict


def test_s4e_083_delays_and_time_limits_are_in_milliseconds(api: Api) -> None:
    document = export(api, steps=RICH, timeout_minutes=30)

    steps = {step["name"]: step for step in document["workflow"].values() if step["name"] != "End"}
    assert steps["c"]["delay"] == 5_000
    assert steps["a"]["timeout"] == 120_000
    assert steps["ask"]["timeout"] == 1_800_000
    assert {step.get("delay") for step in document["workflow"].values() if step["type"] == "end"} == {
        None,
        90_000,
        60_000,
    }
    assert set(document) <= CACAO_ROOT


def test_the_words_of_s4e_become_those_of_cacao(api: Api) -> None:
    document = export(api, steps=RICH)

    steps = {step["name"]: step for step in document["workflow"].values()}
    assert steps["a"]["commands"][0]["command"] == "POST /api/actions/act-slack-notify/trigger HTTP/1.1"
    assert "__not_a_reference__" not in steps["a"]["commands"][0]["content"]
    assert steps["ask"]["commands"][0] == {"type": "manual", "command": "Go on?"}
    assert document["agent_definitions"][steps["ask"]["agent"]]["type"] == "individual"
    expected = "(__finding__:value.severity = 'critical') AND (__finding__:value.score > 7)"
    assert steps["c"]["condition"] == expected
    assert steps["inner"]["condition"] == "__inner__:value = true"
    assert document["playbook_variables"]["__inner__"]["external"] is True
    assert {"on_success", "on_failure"} <= steps["both"].keys()
    assert "on_completion" in steps["quiet"]
    assert "on_failure" not in steps["a"]


def test_a_delay_that_only_one_way_passes_makes_only_that_way_wait(api: Api, tenant: Tenant) -> None:
    steps = [approval("ask", on_approved="wait", on_rejected="z"), delay("wait", 60), say("z")]
    document = export(api, steps=steps)

    named = {step["name"]: step for step in document["workflow"].values()}
    assert named["wait"]["type"] == "if-condition"
    assert named["wait"]["delay"] == 60_000
    assert "delay" not in named["z"]


def test_two_exports_are_equal(api: Api, main: str) -> None:
    first, second = (api.get(f"/api/playbooks/{main}/export").content for _ in range(2))

    assert first == second


def test_s4e_085_the_format_may_be_left_out(api: Api, main: str, exported: Json) -> None:
    assert read(api.get(f"/api/playbooks/{main}/export")) == exported


@pytest.mark.parametrize("format", ["yaml", "", "CACAO_V2", "cacao_v1"])
def test_s4e_086_there_is_one_format(api: Api, main: str, format: str) -> None:
    invalid(api.get(f"/api/playbooks/{main}/export?format={format}"), "format")


def test_s4e_087_an_unknown_or_foreign_playbook_is_not_found(api: Api, stranger: Api, main: str) -> None:
    error(api.get("/api/playbooks/pb-nope/export"), 404, "not_found")
    error(stranger.get(f"/api/playbooks/{main}/export"), 404, "not_found")


def test_a_name_never_reaches_the_file_name(api: Api) -> None:
    playbook = api.made(name='../../etc/passwd"; x="')

    response = api.get(f"/api/playbooks/{playbook}/export")
    assert response["Content-Disposition"] == 'attachment; filename="pb-etc-passwd-x.json"'


def test_other_families_show_it_as_cacao_too(api: Api, main: str, exported: Json) -> None:
    assert read(api.get(f"/playbook/{exported['id']}")) == exported


def test_shared_steps_are_exported_as_they_run(api: Api) -> None:
    steps = [
        condition("one", "finding.a == 1", on_true="shared", on_false="two"),
        condition("two", "finding.b == 1", on_true="shared", on_false="other"),
        say("shared", on_success="z"), say("other"), say("z"),
    ]  # fmt: skip
    document = export(api, steps=steps)

    assert [step["name"] for step in document["workflow"].values()].count("shared") == 1
    assert data(api.post("/api/playbooks/import", document | {"name": "Again"}))["step_count"] == 5


def _references(document: Json) -> Iterator[str]:
    for step in document["workflow"].values():
        for name in ("on_completion", "on_success", "on_failure", "on_true", "on_false"):
            if name in step:
                yield step[name]
        yield from step.get("next_steps", [])
