"""The planner's operations against a service that is held to the project's own OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from openapi_spec_validator import validate

from accounts.models import Tenant
from connectors.base import EffectClass, OutcomeKind, ProbeAnswer
from connectors.dispatch import plan
from connectors.dispatch import probe as probe_plan
from tests.connectors.calls import Connect, Run, operation
from tests.connectors.planner.service import DOCUMENT, TOKEN, Planner, planner_service
from tests.connectors.servers import Reply, Server, json_reply

pytestmark = pytest.mark.django_db

DEPLOY = ("planner.deploy", {"version": "v3", "canary_percent": 10})
BACK = ("planner.rollback", {"from_version": "v2", "to_version": "v1"})
SPLIT = ("planner.split", {"version": "v2", "percent": 25})


@pytest.fixture
def planner(connect: Connect) -> Iterator[Server]:
    with planner_service() as server:
        connect("planner", "planner", server.url, secrets={"token": TOKEN})
        yield server


def asked(tenant: Tenant, name: str, arguments: dict[str, Any]) -> tuple[ProbeAnswer, Any]:
    planned = plan(tenant_id=tenant.id, calls=[operation(name, arguments)])
    assert planned.effect is EffectClass.PROBE
    answer, outcome = probe_plan(
        planned, fence=2, headers={}, since=timedelta(minutes=1), time_limit=timedelta(seconds=10)
    )
    return answer, outcome.output if outcome else None


def test_the_document_is_an_openapi_document() -> None:
    validate(DOCUMENT)


def test_versions_are_read(run: Run, planner: Server) -> None:
    outcome = run(operation("planner.versions", {})).outcome

    assert outcome.output == {"stable": "v1", "previous": "v0", "percents": {"v0": 0, "v1": 90, "v2": 10}}
    assert planner.state.writes == []


@pytest.mark.parametrize(
    ("call", "output", "percents"),
    [
        (DEPLOY, {"version": "v3", "percent": 10}, {"v0": 0, "v1": 90, "v2": 10, "v3": 10}),
        (BACK, {"version": "v1", "percent": 100}, {"v0": 0, "v1": 100, "v2": 0}),
        (SPLIT, {"version": "v2", "percent": 25}, {"v0": 0, "v1": 90, "v2": 25}),
    ],
    ids=["deploy", "rollback", "split"],
)
def test_a_change_is_made_and_found_again(
    run: Run, tenant: Tenant, planner: Server, call: tuple[str, dict[str, Any]], output: Any, percents: Any
) -> None:
    assert asked(tenant, *call) == (ProbeAnswer.NOT_THERE, None)

    outcome = run(operation(*call)).outcome

    assert (outcome.kind, outcome.output) == (OutcomeKind.COMPLETED, output)
    assert planner.state.percents == percents
    assert asked(tenant, *call) == (ProbeAnswer.THERE, output)


def test_after_a_cut_answer_the_change_is_looked_for(run: Run, tenant: Tenant, planner: Server) -> None:
    planner.answers.append(Reply(manner="cut"))

    assert run(operation(*SPLIT)).outcome.kind is OutcomeKind.UNKNOWN
    assert asked(tenant, *SPLIT) == (ProbeAnswer.NOT_THERE, None)


@pytest.mark.parametrize("reply", [json_reply({}, 500), Reply(200, b"<html>"), json_reply({"versions": 7})])
def test_a_planner_that_cannot_be_read_cannot_tell(tenant: Tenant, planner: Server, reply: Reply) -> None:
    planner.answers.append(reply)

    assert asked(tenant, *DEPLOY) == (ProbeAnswer.CANNOT_TELL, None)


@pytest.mark.parametrize(
    ("reply", "code", "retry"),
    [
        (json_reply({"message": "no"}, 401), "unauthorized", False),
        (json_reply({"message": "no"}, 404), "client_error", False),
        (json_reply({"message": "no"}, 409), "client_error", False),
        (json_reply({"message": "no"}, 500), "server_error", None),
        (json_reply({"version": "v2", "target_percent": "25"}), "bad_answer", False),
        (json_reply({"version": "v2", "target_percent": 101}), "bad_answer", False),
        (json_reply({"version": "v2", "target_percent": True}), "bad_answer", False),
        (json_reply([]), "bad_answer", False),
    ],
)
def test_what_the_planner_refuses(run: Run, planner: Server, reply: Reply, code: str, retry: bool | None) -> None:
    planner.answers.append(reply)

    outcome = run(operation(*SPLIT)).outcome

    assert (outcome.kind, outcome.code, outcome.retry) == (OutcomeKind.FAILED, code, retry)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("planner.deploy", {"version": "v3"}),
        ("planner.deploy", {"version": "v3", "canary_percent": 101}),
        ("planner.deploy", {"version": "../rollbacks", "canary_percent": 1}),
        ("planner.rollback", {"from_version": "v2", "to_version": "v1", "immediate": "yes"}),
        ("planner.split", {"version": "v2/../../x", "percent": 1}),
        ("planner.split", {"version": "v2", "percent": True}),
        ("planner.split", {"version": "v2", "percent": 1, "more": 1}),
        ("planner.versions", {"version": "v2"}),
    ],
)
def test_wrong_arguments_open_no_socket(run: Run, planner: Server, name: str, arguments: dict[str, Any]) -> None:
    outcome = run(operation(name, arguments)).outcome

    assert (outcome.code, outcome.sent) == ("argument_invalid", False)
    assert planner.connections == 0


def test_a_wrong_token_is_refused_and_shown_nowhere(run: Run, connect: Connect, planner: Server) -> None:
    connect("planner", "planner", planner.url, secrets={"token": "another-long-token"})

    result = run(operation(*SPLIT))

    assert result.outcome.code == "unauthorized"
    assert "another-long-token" not in repr(result)


def test_a_planner_without_versions_says_so(run: Run, connect: Connect) -> None:
    with planner_service(Planner(percents={}, order=[])) as server:
        connect("planner", "planner", server.url, secrets={"token": TOKEN})

        assert run(operation("planner.versions", {})).outcome.output == {
            "stable": None,
            "previous": None,
            "percents": {},
        }
