"""Approvals and their policies by HTTP, and the same approvals in the words of the other families."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Tenant, User
from accounts.services import create_tenant, create_user, issue_api_key
from connectors.services import save_connection
from executions.models import Execution, StepRun
from executions.selectors import get_execution
from tests.api.s4e.calls import Api, data
from tests.connectors.servers import Server, ledger

ROOT = "/api/native/approvals"
POLICIES = "/api/native/approval-policies"
CALL = {
    "id": "call", "name": "Block it", "type": "action", "action_ref": "act-http-request",
    "parameters": {
        "connection": "ledger", "method": "POST", "path": "/effect/keyed", "body": {"who": "{{ parameters.who }}"},
    },
}  # fmt: skip
INPUTS = {"who": {"type": "String", "required": True}}

Drive = Callable[..., Execution]


class Person(Api):
    """A caller that also replaces and deletes."""

    def put(self, path: str, body: Any) -> Any:
        return self.send("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return _tenant()


def _tenant() -> Tenant:
    slug = f"t-{uuid4().hex[:8]}"
    return create_tenant(slug=slug, name=slug, now=timezone.now(), rate_tier="enterprise")


def _person(tenant: Tenant, name: str, role: str) -> Person:
    now = timezone.now()
    owner = create_user(tenant=tenant, email=f"{name}-{tenant.slug}@example.org", password=None, role=role, now=now)
    return Person(issue_api_key(tenant=tenant, owner=owner, name=f"key of {name}", now=now)[1])


@pytest.fixture
def admin(tenant: Tenant) -> Person:
    return _person(tenant, "admin", "admin")


@pytest.fixture
def ada(tenant: Tenant) -> Person:
    return _person(tenant, "ada", "approver")


@pytest.fixture
def bob(tenant: Tenant) -> Person:
    return _person(tenant, "bob", "soc_lead")


@pytest.fixture
def stranger(tenant: Tenant) -> Person:
    return _person(_tenant(), "stranger", "admin")


@pytest.fixture
def far_side(tenant: Tenant, settings: Any) -> Iterator[Server]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with ledger() as server:
        _connect(tenant, server)
        yield server


def _connect(tenant: Tenant, server: Server, **more: Any) -> None:
    save_connection(tenant=tenant, kind="http", name="ledger", url=server.url, keyed=True, now=timezone.now(), **more)


def made_policy(admin: Person, **given: Any) -> dict[str, Any]:
    response: Any = admin.post(POLICIES, {"name": "calls", **given})
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture
def begun(tenant: Tenant, admin: Person, far_side: Server, run_to_end: Drive) -> Callable[[], Execution]:
    """Return a function that starts a playbook by HTTP and drives it until it waits."""

    def begin() -> Execution:
        name = admin.made(name=f"Block {uuid4().hex[:6]}", steps=[CALL], inputs=INPUTS)
        number = admin.started(name, {"parameters": {"who": "mallory"}}).removeprefix("pexec-")
        return run_to_end(get_execution(tenant, number=int(number)))

    return begin


def only(person: Person, **query: str) -> dict[str, Any]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    response: Any = person.get(f"{ROOT}?{asked}")
    assert response.status_code == 200, response.content
    [item] = response.json()["items"]
    found: dict[str, Any] = item
    return found


def cast(person: Person, approval: str, decision: str = "approve", **more: Any) -> Any:
    return person.post(f"{ROOT}/{approval}/vote", {"decision": decision, **more})


def test_an_approval_whose_parameters_changed_after_the_vote_refuses_to_run(
    admin: Person, ada: Person, begun: Callable[[], Execution], far_side: Server, run_to_end: Drive
) -> None:
    made_policy(admin)
    execution = begun()
    first = only(ada)
    assert first["asked_for"]["calls"][0]["arguments"]["body"] == {"who": "mallory"}
    assert cast(ada, first["id"]).json()["status"] == "approved"

    execution.refresh_from_db()
    execution.inputs["parameters"]["who"] = "somebody else"
    execution.save(update_fields=["inputs"])
    run_to_end(execution)

    assert far_side.requests == []
    second = only(ada)
    assert (second["reason"], second["id"] != first["id"]) == ("changed", True)
    assert second["asked_for"]["calls"][0]["arguments"]["body"] == {"who": "somebody else"}
    assert second["votes"]["cast"] == []

    cast(ada, second["id"])
    assert run_to_end(execution).status == "completed"
    assert [received.json for received in far_side.requests] == [{"who": "somebody else"}]


def test_a_connection_that_changed_after_the_vote_is_not_called(
    tenant: Tenant, admin: Person, ada: Person, begun: Callable[[], Execution], far_side: Server, run_to_end: Drive
) -> None:
    made_policy(admin)
    execution = begun()
    cast(ada, only(ada)["id"])
    with ledger() as other:
        _connect(tenant, other)
        run_to_end(execution)

        assert far_side.requests == other.requests == []
        assert only(ada)["reason"] == "changed"


def test_an_approved_call_is_made_once(
    admin: Person, ada: Person, begun: Callable[[], Execution], far_side: Server, run_to_end: Drive
) -> None:
    made_policy(admin)
    execution = begun()
    cast(ada, only(ada)["id"], comment="go ahead")

    assert run_to_end(execution).status == "completed"
    assert len(far_side.requests) == 1
    found = only(ada, status="answered")
    assert (found["status"], found["may_vote"], found["votes"]["cast"][0]["comment"]) == ("approved", False, "go ahead")


def test_votes_are_counted_by_person(
    tenant: Tenant, admin: Person, ada: Person, bob: Person, begun: Callable[[], Execution]
) -> None:
    made_policy(admin, votes=2)
    begun()
    approval = only(ada)["id"]
    owner = User.objects.get(email__startswith="ada-")
    other_key = Person(issue_api_key(tenant=tenant, owner=owner, name="another", now=timezone.now())[1])

    for caller in (ada, ada, other_key):
        told = cast(caller, approval)
        assert told.status_code == 200
        assert (told.json()["status"], told.json()["votes"]["approved"]) == ("open", 1)
    told = cast(ada, approval, "reject")
    assert (told.status_code, told.json()["code"]) == (409, "voted_otherwise")
    assert only(ada)["may_not_because"] == "You voted already."
    assert cast(bob, approval).json()["status"] == "approved"
    assert cast(ada, approval).json()["status"] == "approved"  # the same again, after the end
    assert cast(admin, approval).status_code == 409


def test_by_four_eyes_the_starter_is_told_why_not(admin: Person, ada: Person, begun: Callable[[], Execution]) -> None:
    made_policy(admin, four_eyes=True)
    begun()
    approval = only(admin)
    assert not approval["may_vote"]

    told = cast(admin, approval["id"])

    assert (told.status_code, told.json()["code"]) == (403, "four_eyes")
    assert "started the execution" in told.json()["detail"]
    assert cast(ada, approval["id"]).status_code == 200


def test_whoever_is_not_asked_finds_nothing(
    admin: Person, ada: Person, bob: Person, stranger: Person, begun: Callable[[], Execution]
) -> None:
    made_policy(admin, name="one", approvers=["soc_lead"])
    made_policy(admin, name="two", approvers=["soc_lead", "approver"])
    begun()
    approval = only(bob)["id"]

    for caller in (ada, stranger):
        response: Any = caller.get(ROOT)
        assert response.json() == {"items": [], "next": None}
        assert caller.get(f"{ROOT}/{approval}").status_code == 404
        assert cast(caller, approval).status_code == 404
    assert only(bob)["approvers"] == [["soc_lead"], ["approver", "soc_lead"]]
    assert cast(bob, approval).status_code == 200


def test_who_may_only_look_does_not_vote(tenant: Tenant, admin: Person, begun: Callable[[], Execution]) -> None:
    made_policy(admin)
    begun()
    viewer = _person(tenant, "viewer", "viewer")
    approval = only(viewer)

    assert not approval["may_vote"]
    assert cast(viewer, approval["id"]).status_code == 403
    assert Client().get(ROOT).status_code == 401


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "decision"), ({"decision": "yes"}, "decision"), ({"decision": True}, "decision"),
        ({"decision": "approve", "comment": "x" * 2001}, "comment"), ({"decision": "approve", "digest": "x"}, "digest"),
    ],
)  # fmt: skip
def test_a_vote_that_is_none_is_refused(
    admin: Person, begun: Callable[[], Execution], body: dict[str, Any], path: str
) -> None:
    made_policy(admin)
    begun()
    approval = only(admin)["id"]

    told: Any = admin.post(f"{ROOT}/{approval}/vote", body)

    assert (told.status_code, told.json()["errors"][0]["path"]) == (422, path)
    assert only(admin)["votes"]["cast"] == []


def test_approvals_come_in_pages(admin: Person, begun: Callable[[], Execution]) -> None:
    made_policy(admin)
    wanted = {str(begun().pk) for _ in range(3)}
    found: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        response: Any = admin.get(f"{ROOT}?limit=2{cursor and f'&cursor={cursor}'}")
        found += [item["execution_id"] for item in response.json()["items"]]
        cursor, pages = response.json()["next"], pages + 1

    assert (set(found), len(found), pages) == (wanted, 3, 2)
    assert admin.get(f"{ROOT}?cursor=nonsense").status_code == 400
    assert admin.get(f"{ROOT}?status=pending").status_code == 422
    assert admin.get(f"{ROOT}?limit=101").status_code == 422


# Other families -------------------------------------------------------------------------------------------------------


def test_s4e_approves_and_tells_how_far_it_is(
    admin: Person, ada: Person, bob: Person, begun: Callable[[], Execution], far_side: Server, run_to_end: Drive
) -> None:
    made_policy(admin, votes=2)
    execution = begun()
    path = f"/api/playbooks/executions/pexec-{execution.number}/steps/call"

    told = data(ada.post(f"{path}/approve", {}))
    assert (told["decision"], told["decided_by"]) == ("pending", None)
    assert told["votes"] == {"approved": 1, "rejected": 0, "needed": 2}
    told = data(bob.post(f"{path}/approve", {}))
    assert (told["decision"], told["votes"]["approved"]) == ("approved", 2)
    assert admin.post(f"{path}/approve", {}).status_code == 409

    assert run_to_end(execution).status == "completed"
    assert len(far_side.requests) == 1


def test_s4e_refuses_by_four_eyes(tenant: Tenant, admin: Person, ada: Person, run_to_end: Drive) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(four_eyes=True)
    steps = [{"id": "ask", "type": "approval", "message": "Go on?"}]
    number = admin.started(admin.made(name="Asking", steps=steps)).removeprefix("pexec-")
    execution = run_to_end(get_execution(tenant, number=int(number)))
    path = f"/api/playbooks/executions/pexec-{number}/steps/ask/approve"

    refused: Any = admin.post(path, {})
    assert refused.status_code == 403
    assert "started the execution" in refused.json()["error"]["message"]
    told = data(ada.post(path, {}))
    assert (told["decision"], set(told)) == (
        "approved", {"execution_id", "step_id", "decision", "decided_by", "decided_at"},
    )  # fmt: skip
    assert run_to_end(execution).status == "completed"


def test_soarca_lists_what_a_step_asks_and_takes_the_vote(
    admin: Person, ada: Person, bob: Person, begun: Callable[[], Execution], far_side: Server, run_to_end: Drive
) -> None:
    made_policy(admin, votes=2)
    execution = begun()
    listed: Any = ada.get("/manual")
    [item] = listed.json()
    assert item["out_args"] == {}
    assert '"who":"mallory"' in item["command"]
    answer = {
        "type": "manual-step-response", "execution_id": str(execution.pk), "step_id": item["step_id"],
        "response_status": "success", "response_out_args": {},
    }  # fmt: skip

    for person in (ada, bob):
        told: Any = person.post("/manual/continue", answer)
        assert (told.status_code, set(told.json())) == (200, {"execution_id", "run_id", "payload", "playbook_id"})
    assert bob.post("/manual/continue", answer).status_code == 404

    assert run_to_end(execution).status == "completed"
    assert len(far_side.requests) == 1
    report: Any = admin.get(f"/reporter/{execution.pk}")
    [result] = [found for found in report.json()["step_results"].values() if found["step_id"] == item["step_id"]]
    assert result["executed_by"] == "soarca"


# Policies -------------------------------------------------------------------------------------------------------------


def test_a_policy_is_made_read_replaced_and_removed(tenant: Tenant, admin: Person, far_side: Server) -> None:
    made = made_policy(
        admin, connection="ledger", operation="http.request", effects=["unsafe"], votes=2, approvers=["soc_lead"],
        four_eyes=True, first_no_decides=False, deadline_seconds=3600,
    )  # fmt: skip
    path = f"{POLICIES}/{made['id']}"

    read: Any = admin.get(path)
    assert read.json() == made
    listed: Any = admin.get(POLICIES)
    assert listed.json() == {"items": [made]}
    replaced = admin.put(path, {"name": "other"})
    assert replaced.status_code == 200
    wanted = {"name": "other", "votes": 1, "connection": None, "approvers": [], "four_eyes": None, "effects": []}
    assert {name: replaced.json()[name] for name in wanted} == wanted
    assert replaced.json()["created_at"] == made["created_at"]
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"name": " "}, "name"), ({"name": "a\u0007"}, "name"), ({"votes": 0}, "votes"), ({"votes": 21}, "votes"),
        ({"votes": "2"}, "votes"), ({"votes": True}, "votes"), ({"effects": ["safe"]}, "effects[0]"),
        ({"effects": "read"}, "effects"), ({"covers": "everything"}, "covers"),
        ({"covers": "approval_steps", "operation": "http"}, "covers"), ({"operation": "htp"}, "operation"),
        ({"connection": "nowhere"}, "connection"), ({"playbook": "playbook--x"}, "playbook"),
        ({"approvers": ["a@example.org"], "votes": 2}, "votes"), ({"approvers": ["  "]}, "approvers[0]"),
        ({"deadline_seconds": 0}, "deadline_seconds"), ({"deadline_seconds": 31 * 86_400}, "deadline"),
        ({"deadline_seconds": 10**30}, "deadline_seconds"), ({"four_eyes": "yes"}, "four_eyes"),
        ({"tenant": "t"}, "tenant"),
    ],
)  # fmt: skip
def test_a_policy_that_does_not_fit_is_refused(admin: Person, given: dict[str, Any], path: str) -> None:
    told: Any = admin.post(POLICIES, {"name": "calls", **given})

    assert told.status_code == 422, told.content
    assert told.json()["errors"][0]["path"] == path
    assert admin.get(POLICIES).json() == {"items": []}  # type: ignore[attr-defined]


def test_two_policies_of_one_name_are_refused(admin: Person) -> None:
    made_policy(admin)

    told: Any = admin.post(POLICIES, {"name": "calls"})

    assert (told.status_code, told.json()["code"]) == (409, "policy_exists")


def test_policies_are_of_their_tenant_and_for_who_may(admin: Person, bob: Person, stranger: Person) -> None:
    path = f"{POLICIES}/{made_policy(admin)['id']}"

    assert stranger.get(path).status_code == 404
    assert stranger.put(path, {"name": "mine"}).status_code == 404
    assert stranger.delete(path).status_code == 404
    assert bob.get(path).status_code == 200
    assert bob.put(path, {"name": "mine"}).status_code == 403
    assert bob.delete(path).status_code == 403
    assert bob.post(POLICIES, {"name": "mine"}).status_code == 403


def test_a_policy_of_a_connection_keeps_it(tenant: Tenant, admin: Person, far_side: Server) -> None:
    """What a policy guards is not removed from under it, and a new one of the same name is not the same."""
    from django.db.models import RestrictedError

    from connectors.models import Connection

    made_policy(admin, connection="ledger")

    with pytest.raises(RestrictedError):
        Connection.objects.get(tenant=tenant, name="ledger").delete()


def test_the_admin_shows_policies_and_votes(
    tenant: Tenant, admin: Person, ada: Person, begun: Callable[[], Execution]
) -> None:
    made_policy(admin, votes=2)
    begun()
    approval = only(ada)["id"]
    cast(ada, approval, comment="looks right")
    browser = Client()
    lead = create_user(
        tenant=tenant, email=f"lead-{tenant.slug}@example.org", password=None, role="admin", is_staff=True,
        now=timezone.now(),
    )  # fmt: skip
    browser.force_login(lead)

    assert "looks right" in browser.get(f"/admin/manual/manualrequest/{approval}/change/").text
    assert "calls" in browser.get("/admin/manual/approvalpolicy/").text
    form = {
        "tenant": str(tenant.pk), "name": "steps", "covers": "approval_steps", "operation": "http", "votes": "1",
        "effects": "", "approvers": "", "four_eyes": "unknown", "deadline": "", "is_enabled": "on",
    }  # fmt: skip
    assert "selected by playbook alone" in browser.post("/admin/manual/approvalpolicy/add/", form).text
    assert browser.post("/admin/manual/approvalpolicy/add/", {**form, "operation": ""}).status_code == 302
    listed: Any = admin.get(POLICIES)
    assert [row["name"] for row in listed.json()["items"]] == ["calls", "steps"]
    assert StepRun.objects.filter(status="waiting").count() == 1
    assert ApiKey.objects.filter(tenant=tenant).count() == 2
