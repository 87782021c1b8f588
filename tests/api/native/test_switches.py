"""Switches, caps and breakers over HTTP (api/native/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Tenant
from accounts.services import create_user, issue_api_key
from connectors.models import Connection
from connectors.services import save_connection
from executions import breakers
from executions.gate_models import Switch
from tests.api import NOON
from tests.engine.test_decide import act, end, flow
from tests.flows.starting import make_tenant, start_workflow

SWITCHES, CAPS, BREAKERS = "/api/native/switches", "/api/native/caps", "/api/native/breakers"
Api = Callable[..., Any]


def caller(tenant: Tenant, role: str = "tenant_admin") -> Api:
    """Return ``call(method, path, body)``, which gives status and body."""
    owner = create_user(tenant=tenant, email=f"{uuid4().hex[:8]}@example.org", password=None, role=role, now=NOON)
    _, key = issue_api_key(tenant=tenant, owner=owner, name=f"key of {role}", now=NOON)

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent: dict[str, Any] = (
            {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        )
        answer = Client(headers={"authorization": f"Bearer {key}"}).generic(method, path, **sent)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json"
        return answer.status_code, json.loads(answer.content) if answer.content else None

    return call


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return caller(tenant)


@pytest.fixture
def ledger(tenant: Tenant) -> Connection:
    return save_connection(
        tenant=tenant, kind="http", name="ledger", url="https://ledger.example.org", secrets={}, now=NOON
    )


def on(api: Api, **given: Any) -> Any:
    status, told = api("POST", SWITCHES, {"kind": "tenant", "reason": "a drill", **given})
    assert status == 201, told
    return told


def test_a_switch_is_set_shown_and_lifted(api: Api, ledger: Connection) -> None:
    made = on(api, kind="connection", value="ledger", blocks_reads=True)
    assert made == {
        "id": made["id"], "kind": "connection", "value": str(ledger.pk), "name": "ledger", "everywhere": False,
        "blocks_reads": True, "reason": "a drill", "set_by": "key of tenant_admin", "set_at": made["set_at"],
        "is_on": True, "lifted_by": "", "lifted_at": None, "lift_reason": "",
    }  # fmt: skip
    assert api("GET", SWITCHES)[1] == {"items": [made], "next": None}
    assert api("GET", f"{SWITCHES}/{made['id']}") == (200, made)

    status, lifted = api("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})
    assert (status, lifted["is_on"], lifted["lift_reason"]) == (200, False, "over")
    assert api("GET", SWITCHES)[1]["items"] == []
    assert api("GET", f"{SWITCHES}?show=all")[1]["items"] == [lifted]


def test_setting_one_that_is_on_and_lifting_one_twice_are_conflicts(api: Api) -> None:
    made = on(api)
    status, told = api("POST", SWITCHES, {"kind": "tenant", "reason": "again"})
    assert (status, told["code"]) == (409, "switch_is_on")
    api("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})
    status, told = api("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})
    assert (status, told["code"]) == (409, "switch_was_lifted")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "tenant"}, "reason"),
        ({"reason": "a drill"}, "kind"),
        ({"kind": "galaxy", "reason": "a drill"}, "kind"),
        ({"kind": "global", "reason": "a drill"}, "kind"),
        ({"kind": "connection", "value": "nowhere", "reason": "a drill"}, "value"),
        ({"kind": "tenant", "reason": "a drill", "blocks_reads": "yes"}, "blocks_reads"),
        ({"kind": "tenant", "reason": "a drill", "colour": "red"}, "colour"),
    ],
)
def test_a_switch_that_cannot_be_meant_is_refused(api: Api, body: dict[str, Any], path: str) -> None:
    status, told = api("POST", SWITCHES, body)

    assert status == 422
    assert [fault["path"] for fault in told["errors"]] == [path]
    assert not Switch.objects.exists()


def test_lifting_takes_a_reason(api: Api) -> None:
    made = on(api)
    for body in ({}, {"reason": ""}):
        status, told = api("POST", f"{SWITCHES}/{made['id']}/lift", body)
        assert (status, [fault["path"] for fault in told["errors"]]) == (422, ["reason"])


def test_only_who_may_stops_all_tenants_and_all_see_it(tenant: Tenant, api: Api) -> None:
    order = {"kind": "global", "reason": "a drill", "everywhere": True}
    assert api("POST", SWITCHES, order)[0] == 403
    operator = caller(make_tenant(), "platform_admin")
    made = on(operator, **order)
    assert made["everywhere"] is True

    assert [found["id"] for found in api("GET", SWITCHES)[1]["items"]] == [made["id"]]
    status, told = api("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})
    assert (status, told["code"]) == (403, "may_not_switch")
    assert operator("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})[0] == 200


def test_what_a_switch_holds_back_says_so(tenant: Tenant, api: Api) -> None:
    execution = start_workflow(tenant, flow(act("a", on_success="end"), end(), first="a"))
    made = on(api, blocks_reads=True)
    path = f"/api/native/executions/{execution.pk}"

    [wait] = api("GET", path)[1]["waits_for"]
    assert (wait["kind"], wait["by"]) == ("gate", "switch")
    assert [found["id"] for found in api("GET", "/api/native/executions?waiting_for=gate")[1]["items"]] == [
        str(execution.pk)
    ]
    assert api("GET", "/api/native/executions?waiting_for=worker")[1]["items"] == []
    assert api("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})[0] == 200
    [wait] = api("GET", path)[1]["waits_for"]
    assert wait["kind"] == "worker"


def test_an_administrator_of_one_tenant_stops_no_other(tenant: Tenant) -> None:
    order = {"kind": "global", "reason": "a drill", "everywhere": True}
    status, told = caller(tenant, "admin")("POST", SWITCHES, order)

    assert (status, told["code"]) == (403, "may_not_switch")
    assert "platform_admin" in told["detail"]


def test_where_the_tenant_wants_four_eyes_somebody_else_lifts_it(tenant: Tenant, api: Api) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(four_eyes=True)
    lift = f"{SWITCHES}/{on(api)['id']}/lift"

    status, told = api("POST", lift, {"reason": "over"})
    assert (status, told["code"]) == (403, "may_not_switch")
    assert caller(tenant)("POST", lift, {"reason": "over"})[0] == 200


def test_another_tenants_switches_and_caps_are_not_found(api: Api) -> None:
    made, cap = on(api), api("PUT", CAPS, {"kind": "tenant", "limit": 3})[1]
    other = caller(make_tenant())

    assert other("GET", SWITCHES)[1]["items"] == []
    assert other("GET", f"{SWITCHES}/{made['id']}")[0] == 404
    assert other("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})[0] == 404
    assert other("GET", f"{CAPS}/{cap['id']}")[0] == 404
    assert other("DELETE", f"{CAPS}/{cap['id']}")[0] == 404
    assert api("GET", f"{SWITCHES}/{made['id']}")[1]["is_on"]


def test_a_viewer_reads_and_changes_nothing(tenant: Tenant, api: Api) -> None:
    made, viewer = on(api), caller(tenant, "viewer")

    assert viewer("GET", SWITCHES)[0] == 200
    assert viewer("POST", SWITCHES, {"kind": "tenant", "reason": "a drill"})[0] == 403
    assert viewer("POST", f"{SWITCHES}/{made['id']}/lift", {"reason": "over"})[0] == 403
    assert viewer("PUT", CAPS, {"kind": "tenant", "limit": 3})[0] == 403


def test_pages_follow_one_another(api: Api, ledger: Connection) -> None:
    made = [on(api, kind="effect_class", value=value)["id"] for value in ("unsafe", "keyed", "probe")]
    status, first = api("GET", f"{SWITCHES}?limit=2")
    second = api("GET", f"{SWITCHES}?limit=2&cursor={first['next']}")[1]

    assert status == 200
    assert [found["id"] for found in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert api("GET", f"{SWITCHES}?limit=2&show=all&cursor={first['next']}")[0] == 400
    assert api("GET", f"{SWITCHES}?show=some")[0] == 422
    assert api("GET", f"{SWITCHES}?limit=0")[0] == 422


def test_a_cap_is_set_replaced_shown_and_taken_away(api: Api, ledger: Connection) -> None:
    status, made = api("PUT", CAPS, {"kind": "connection", "value": "ledger", "limit": 2})
    assert (status, made["value"], made["name"], made["limit"]) == (200, str(ledger.pk), "ledger", 2)
    again = api("PUT", CAPS, {"kind": "connection", "value": str(ledger.pk), "limit": 4})[1]
    assert (again["id"], again["limit"]) == (made["id"], 4)
    assert api("GET", CAPS)[1]["items"] == [again]
    assert api("GET", f"{CAPS}/{made['id']}") == (200, again)

    assert api("DELETE", f"{CAPS}/{made['id']}") == (204, None)
    assert api("DELETE", f"{CAPS}/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "tenant", "limit": 0}, "limit"),
        ({"kind": "tenant", "limit": "3"}, "limit"),
        ({"kind": "tenant"}, "limit"),
        ({"kind": "tenant", "limit": 3, "value": "x"}, "value"),
        ({"kind": "playbook", "limit": 3, "value": "nowhere"}, "value"),
        ({"kind": "connection", "limit": 3}, "value"),
        ({"kind": "effect_class", "limit": 3}, "kind"),
    ],
)
def test_a_cap_that_cannot_be_meant_is_refused(api: Api, body: dict[str, Any], path: str) -> None:
    status, told = api("PUT", CAPS, body)

    assert (status, [fault["path"] for fault in told["errors"]]) == (422, [path])


def test_a_breaker_is_shown_and_closed(api: Api, tenant: Tenant, ledger: Connection, settings: Any) -> None:
    settings.SALLYPORT_BREAKER_FAILURES = 2
    assert api("GET", BREAKERS)[1]["items"] == []
    assert api("GET", f"{BREAKERS}/ledger")[0] == 404
    for _ in range(2):
        breakers.note_failure(ledger.pk, tenant.pk, "connect_failed")
    found = api("GET", f"{BREAKERS}/ledger")[1]
    assert (found["state"], found["failures"], found["last_code"]) == ("open", 2, "connect_failed")
    assert found["next_at"] > found["opened_at"]
    assert api("GET", BREAKERS)[1]["items"] == [found]
    assert caller(make_tenant())("GET", f"{BREAKERS}/{ledger.pk}")[0] == 404

    status, closed = api("POST", f"{BREAKERS}/{ledger.pk}/close")
    assert (status, closed["state"], closed["next_at"]) == (200, "closed", None)
    assert api("POST", f"{BREAKERS}/ledger/close")[1]["code"] == "breaker_is_closed"
