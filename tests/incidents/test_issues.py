"""Incidents get an issue in the tenant's tracker, in the background, and it is closed when they are resolved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from core.clock import database_now
from incidents.filing import TRIES, file_due
from incidents.models import Incident, Note
from incidents.outside_models import IssueTask, IssueTracker
from incidents.services import move_incident, set_outside_token
from tests.api.applylens.calls import DETECTOR, Api, caller_of, make, read
from tests.connectors.servers import Reply, Server, json_reply
from tests.incidents import stand_ins
from tests.incidents.stand_ins import TOKEN

LOOPBACK = ["127.0.0.0/8"]
CONFIGS: dict[str, dict[str, Any]] = {
    "github": {"owner": "org", "repo": "repo"},
    "gitlab": {"project_id": 42},
    "jira": {"email": "bot@example.org", "project_key": "OPS"},
}
SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "github": stand_ins.github,
    "gitlab": stand_ins.gitlab,
    "jira": stand_ins.jira,
}


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = LOOPBACK


def track(tenant: Tenant, provider: str, server: Server, *, token: str = TOKEN, **config: Any) -> IssueTracker:
    given = CONFIGS[provider] | {"base_url": server.url} | config
    row = IssueTracker.objects.create(tenant=tenant, provider=provider, config=given, allow_networks=LOOPBACK)
    set_outside_token(row=row, token=token)
    return row


def resolve(tenant: Tenant, incident: Incident) -> None:
    for verb in ("mitigate", "resolve"):
        move_incident(
            tenant=tenant, number=incident.pk, verb=verb, actor=DETECTOR, now=timezone.now(), notes=f"{verb} it"
        )


def due_now() -> None:
    IssueTask.objects.update(due_at=database_now())


def address_of(incident: Incident) -> str | None:
    return Incident.objects.get(pk=incident.pk).issue_url


def notes(incident: Incident) -> list[str]:
    return list(Note.objects.filter(incident=incident, verb="issue").order_by("id").values_list("text", flat=True))


@pytest.mark.parametrize("provider", SERVERS)
def test_an_issue_is_opened_and_closed(tenant: Tenant, provider: str) -> None:
    with SERVERS[provider]() as server:
        track(tenant, provider, server)
        incident = make(tenant, details={"a": "<b>"})
        assert address_of(incident) is None
        assert file_due() == 1

        [issue] = server.state.issues
        expected = {
            "github": "https://github.example/org/repo/issues/1",
            "gitlab": "https://gitlab.example/org/repo/-/issues/1",
            "jira": f"{server.url}/browse/OPS-1",
        }
        assert address_of(incident) == expected[provider]
        assert notes(incident) == [f"Opened {expected[provider]}."]

        resolve(tenant, incident)
        assert file_due() == 1
        assert len(issue["comments"]) == 1
        assert "resolve it" in str(issue["comments"])
        closed = {"github": issue.get("state"), "gitlab": issue.get("state_event"), "jira": issue.get("transition")}
        assert closed[provider] == {"github": "closed", "gitlab": "close", "jira": {"id": "31"}}[provider]
        assert file_due() == 0


def test_what_github_is_told(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        track(tenant, "github", server)
        make(tenant)
        file_due()

    [issue] = server.state.issues
    assert issue["title"] == "[SEV1] Data freshness violation for inbox.triage"
    assert issue["labels"] == ["sev1", "invariant", "priority:sev1"]
    assert "Key: INV_data_freshness_inbox" in issue["body"]


def test_what_gitlab_is_told(tenant: Tenant) -> None:
    with stand_ins.gitlab() as server:
        track(tenant, "gitlab", server)
        make(tenant)
        file_due()

    assert server.state.issues[0]["labels"] == "sev1,invariant"


@pytest.mark.parametrize(
    ("severity", "priority"), [("sev1", "Highest"), ("sev2", "High"), ("sev3", "Medium"), ("sev4", "Low")]
)
def test_what_jira_is_told(tenant: Tenant, severity: str, priority: str) -> None:
    with stand_ins.jira() as server:
        track(tenant, "jira", server)
        make(tenant, severity=severity)
        file_due()

    fields = server.state.issues[0]["fields"]
    assert (fields["priority"], fields["issuetype"], fields["project"]) == (
        {"name": priority}, {"name": "Bug"}, {"key": "OPS"},
    )  # fmt: skip
    assert (fields["description"]["type"], fields["description"]["version"]) == ("doc", 1)
    assert fields["labels"][:2] == [severity, "invariant"]


def test_without_a_tracker_there_is_no_issue(tenant: Tenant) -> None:
    incident = make(tenant)

    assert file_due() == 0
    assert (incident.issue_url, notes(incident), IssueTask.objects.count()) == (None, [], 0)


def test_another_tenants_tracker_is_told_nothing(tenant: Tenant) -> None:
    from tests.flows.starting import make_tenant

    with stand_ins.github() as server:
        track(make_tenant(), "github", server)
        make(tenant)
        assert file_due() == 0
    assert server.requests == []


def test_a_tracker_that_fails_is_asked_again_and_the_incident_stands(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        track(tenant, "github", server)
        server.answers.append(json_reply({}, 503))
        incident = make(tenant)
        assert file_due() == 0
        assert address_of(incident) is None
        [said] = notes(incident)
        assert "status 503" in said
        assert TOKEN not in said
        assert file_due() == 0

        due_now()
        assert file_due() == 1

    assert address_of(incident) is not None
    assert len(server.state.issues) == 1


def test_an_opening_that_was_not_answered_is_found_again(tenant: Tenant) -> None:
    for provider, stand_in in SERVERS.items():
        with stand_in() as server:
            row = track(tenant, provider, server)
            incident = make(tenant, f"INV_{provider}")

            def opens_and_cuts(received: Any, server: Server = server) -> Reply:
                server._handler = server.known  # type: ignore[attr-defined]
                server.answer(received)
                return Reply(manner="cut")

            server.known, server._handler = server._handler, opens_and_cuts  # type: ignore[attr-defined]
            assert file_due() == 0
            assert len(server.state.issues) == 1
            due_now()
            assert file_due() == 1
            assert len(server.state.issues) == 1
            assert address_of(incident) is not None
            row.delete()


@pytest.mark.parametrize(
    ("provider", "change", "why"),
    [
        ("github", {"repo": ""}, "lacks repo"),
        ("gitlab", {"project_id": None}, "lacks project_id"),
        ("jira", {"email": " ", "project_key": None}, "lacks email, project_key"),
        ("github", {"token": ""}, "token is missing"),
        ("github", {"token": "wrong"}, "status 401"),
    ],
)
def test_what_cannot_work_is_said_once_and_not_tried_again(
    tenant: Tenant, provider: str, change: dict[str, Any], why: str
) -> None:
    with SERVERS[provider]() as server:
        track(tenant, provider, server, **change)
        incident = make(tenant)
        file_due()
        due_now()
        file_due()

    [said] = notes(incident)
    assert why in said
    assert IssueTask.objects.get().tries == 1
    incident.refresh_from_db()
    assert incident.issue_url is None


def test_in_the_end_it_is_given_up(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        track(tenant, "github", server)
        incident = make(tenant)
        for _ in range(TRIES + 2):
            server.answers.append(json_reply({}, 500))
            due_now()
            file_due()

    assert len(server.requests) == TRIES
    assert [said.endswith("It is not tried again.") for said in notes(incident)] == [False, True]


def test_a_tracker_that_does_not_answer_holds_up_its_own_tenant_only(tenant: Tenant) -> None:
    from tests.flows.starting import make_tenant

    other = make_tenant()
    with stand_ins.github() as broken, stand_ins.github() as good:
        track(tenant, "github", broken)
        track(other, "github", good)
        for number in range(5):
            make(tenant, f"INV_{number}")
        make(other)
        broken.answers.extend(Reply(503) for _ in range(9))
        assert file_due() == 1

    assert len(broken.requests) == 1


def test_a_private_address_that_nobody_allowed_is_not_called(tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = []
    with stand_ins.github() as server:
        track(tenant, "github", server)
        incident = make(tenant)
        file_due()

    assert server.requests == []
    assert len(notes(incident)) == 1


def test_a_failing_tracker_fails_no_resolve(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        track(tenant, "github", server)
        incident = make(tenant)
        file_due()
        api: Api = caller_of(tenant)
        read(api.post(f"/api/incidents/{incident.pk}/mitigate"))
        server.answers.append(Reply(500))
        assert read(api.post(f"/api/incidents/{incident.pk}/resolve"))["status"] == "resolved"
        file_due()

    assert "resolve" in notes(incident)[-1]
    shown = read(api.get(f"/api/incidents/{incident.pk}"))
    assert [note["by"] for note in shown["metadata"]["notes"] if note["verb"] == "issue"] == ["system", "system"]


def test_an_incident_that_is_resolved_before_its_issue_is_open(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        track(tenant, "github", server)
        incident = make(tenant)
        resolve(tenant, incident)
        IssueTask.objects.filter(verb="open").update(due_at=timezone.now() + timedelta(seconds=30))
        assert file_due() == 0
        due_now()
        while file_due():
            due_now()

    assert server.state.issues[0]["state"] == "closed"


def test_the_token_is_stored_sealed(tenant: Tenant) -> None:
    with stand_ins.github() as server:
        row = track(tenant, "github", server)

    row.refresh_from_db()
    assert TOKEN not in row.sealed_token
    assert row.sealed_token
