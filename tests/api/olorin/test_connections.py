"""/api/composio/connect, callback, connections, test-connection"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from connectors.models import Connection
from connectors.toolkit_models import ConnectState, ToolkitApp
from tests.api.olorin.calls import Json, read, refused
from tests.api.olorin.vendors import CODE, REFRESH, TOKEN, Vendors
from tests.api.s4e.calls import Api
from tests.connectors.servers import Server, json_reply

Connect = Callable[..., Connection]
T1 = "tenant_id=tenant_123"


def conn(found: Connection) -> str:
    return f"conn_{found.pk.hex}"


@pytest.fixture
def app(tenant: Tenant, server: Server, far: Vendors) -> ToolkitApp:
    return make_app(tenant, server)


def make_app(tenant: Tenant, server: Server) -> ToolkitApp:
    from connectors.connecting import save_app

    return save_app(
        tenant=tenant, toolkit="stripe", client_id="client-1", client_secret="the-client-secret",
        authorize_url="https://connect.vendor.example/oauth/authorize", token_url=f"{server.url}/oauth/token",
        api_url=server.url, scopes="read_write",
    )  # fmt: skip


@pytest.fixture
def state(api: Api, app: ToolkitApp) -> str:
    return str(read(api.post(f"/api/composio/connect/stripe?{T1}"))["state"])


def back(state: str, code: str = CODE, **headers: str) -> Any:
    return Client().get("/api/composio/callback", {"state": state, "code": code}, headers=headers)


def test_olo_055_connecting_begins_at_the_vendor(api: Api, app: ToolkitApp) -> None:
    told = read(api.post(f"/api/composio/connect/stripe?{T1}"))

    assert list(told) == ["oauth_url", "state", "expires_at"]
    assert told["expires_at"].endswith("Z")
    url = urlsplit(told["oauth_url"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.netloc, url.path) == ("connect.vendor.example", "/oauth/authorize")
    assert (query["client_id"], query["state"], query["scope"]) == ("client-1", told["state"], "read_write")
    assert query["redirect_uri"].endswith("/api/composio/callback")
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert "the-client-secret" not in str(told)


def test_connecting_needs_a_known_toolkit_a_client_and_the_tenant(api: Api, viewer: Api, app: ToolkitApp) -> None:
    refused(api.post(f"/api/composio/connect/nope?{T1}"), 400, "toolkit")
    refused(api.post(f"/api/composio/connect/okta?{T1}"), 409, "OAuth")
    refused(api.post("/api/composio/connect/stripe"), 400, "tenant_id")
    refused(api.post("/api/composio/connect/stripe?tenant_id=tenant_999"), 403)
    refused(viewer.post(f"/api/composio/connect/stripe?{T1}"), 403)
    refused(Api().post(f"/api/composio/connect/stripe?{T1}"), 401)


def test_the_11th_connect_in_a_minute_is_refused(api: Api, app: ToolkitApp) -> None:
    answers = [api.post(f"/api/composio/connect/stripe?{T1}").status_code for _ in range(11)]

    assert answers == [200] * 10 + [429]


def test_olo_057_the_callback_makes_an_active_connection(
    state: str, far: Vendors, tenant: Tenant, server: Server
) -> None:
    told = read(back(state))

    assert list(told) == ["connection_id", "toolkit_name", "status", "expires_at"]
    assert (told["toolkit_name"], told["status"]) == ("stripe", "active")
    made = Connection.objects.get()
    assert told["connection_id"] == conn(made)
    assert (made.tenant_id, made.kind, made.vendor_id, made.url) == (tenant.pk, "stripe", "acct_1", server.url)
    (grant,) = far.grants
    assert (grant["client_id"], grant["client_secret"]) == ("client-1", "the-client-secret")
    assert len(grant["code_verifier"]) >= 43
    assert TOKEN not in str(made.sealed_secrets)


def test_the_same_account_again_renews_its_connection(api: Api, state: str) -> None:
    first = read(back(state))["connection_id"]
    Connection.objects.update(status="revoked", is_enabled=False, sealed_secrets={})
    again = read(api.post(f"/api/composio/connect/stripe?{T1}"))["state"]

    assert read(back(again))["connection_id"] == first
    assert Connection.objects.get().status == "active"


def test_olo_058_a_state_is_good_once(state: str) -> None:
    read(back(state))

    refused(back(state), 401)


@pytest.mark.parametrize("forged", ["", "x", "00" * 16, "0" * 32 + ":signature", "a" * 5000, "a b"])
def test_olo_058_a_forged_state_is_refused(state: str, forged: str, far: Vendors) -> None:
    refused(back(forged), 401)
    refused(back(state[:-1] + ("A" if state[-1] != "A" else "B")), 401)
    assert far.grants == []


def test_a_state_lasts_ten_minutes_and_belongs_to_its_tenant(state: str, stranger: Api, api: Api, far: Vendors) -> None:
    refused(back(state, Authorization=f"Bearer {stranger.key}"), 401)
    left = ConnectState.objects.get().expires_at - timezone.now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    ConnectState.objects.update(expires_at=timezone.now())
    refused(back(state), 401)
    assert far.grants == []


@pytest.mark.parametrize("code", ["bad-code", "", "a b", "x" * 5000])
def test_olo_058_a_bad_code_is_refused(state: str, code: str) -> None:
    refused(back(state, code), 400)
    assert not Connection.objects.exists()


def test_a_vendor_that_is_down_is_no_bad_code(state: str, server: Server) -> None:
    server.answers.append(json_reply({}, 503))

    refused(back(state), 500, "stripe")


def test_olo_059_connections_are_listed_without_tokens(
    api: Api, viewer: Api, state: str, connect: Connect, tenant: Tenant, other_tenant: Tenant
) -> None:
    read(back(state))
    connect(tenant, "okta")
    connect(other_tenant, "okta")
    connect(tenant, "http")

    answer = api.get(f"/api/composio/connections?{T1}&status=active")
    told = read(answer)
    assert told["total"] == 2
    assert [each["toolkit_name"] for each in told["connections"]] == ["okta", "stripe"]
    assert list(told["connections"][0]) == ["id", "toolkit_name", "status", "expires_at", "created_at", "last_used_at"]
    assert all(secret not in answer.content.decode() for secret in (TOKEN, REFRESH))
    assert read(viewer.get(f"/api/composio/connections?{T1}&toolkit=stripe"))["total"] == 1


def test_lists_take_known_words_only(api: Api, connect: Connect, tenant: Tenant) -> None:
    Connection.objects.filter(pk=connect(tenant, "okta").pk).update(expires_at=timezone.now())

    assert read(api.get(f"/api/composio/connections?{T1}&status=expired"))["total"] == 1
    assert read(api.get(f"/api/composio/connections?{T1}&status=revoked")) == {"connections": [], "total": 0}
    for query in (f"{T1}&status=bogus", f"{T1}&status=", f"{T1}&toolkit=nope", "", "tenant_id="):
        refused(api.get(f"/api/composio/connections?{query}"), 400)
    refused(api.get("/api/composio/connections?tenant_id=tenant_999"), 403)


def test_olo_061_a_revoked_connection_stays_as_a_row(api: Api, stripe: Connection) -> None:
    path = f"/api/composio/connections/{conn(stripe)}?{T1}"
    told = read(api.send("DELETE", path))

    assert (told["connection_id"], told["status"]) == (conn(stripe), "revoked")
    assert told["revoked_at"].endswith("Z")
    assert read(api.send("DELETE", path)) == told
    stripe.refresh_from_db()
    assert (stripe.status, stripe.sealed_secrets) == ("revoked", {})
    assert [each["status"] for each in read(api.get(f"/api/composio/connections?{T1}"))["connections"]] == ["revoked"]


@pytest.mark.parametrize("path", ["connections/{}", "test-connection/{}"])
def test_olo_062_foreign_connections_are_forbidden_and_unknown_ones_not_found(
    api: Api, viewer: Api, connect: Connect, other_tenant: Tenant, tenant: Tenant, path: str
) -> None:
    theirs, plain = connect(other_tenant, "stripe"), connect(tenant, "http")

    def send(given: str, query: str = T1, by: Api = api) -> Any:
        method = "DELETE" if path.startswith("connections") else "POST"
        return by.send(method, f"/api/composio/{path.format(given)}?{query}")

    refused(send(conn(theirs)), 403)
    for unknown in ("conn_" + "0" * 32, "conn_abc123", "nope", str(theirs.pk), conn(plain)):
        refused(send(unknown), 404)
    refused(send(conn(theirs), "tenant_id=tenant_999"), 403)
    refused(send(conn(theirs), ""), 400)
    refused(send("conn_" + "0" * 32, by=viewer), 403)
    theirs.refresh_from_db()
    assert theirs.status == "active"


@pytest.mark.parametrize("toolkit", ["stripe", "shopify", "okta", "slack", "jira", "square"])
def test_olo_063_a_connection_is_tested_by_reading(
    api: Api, connect: Connect, tenant: Tenant, far: Vendors, toolkit: str
) -> None:
    found = connect(tenant, toolkit)
    told = read(api.post(f"/api/composio/test-connection/{conn(found)}?{T1}"))

    assert list(told) == ["connection_id", "status", "test_result", "tested_at"]
    assert (told["connection_id"], told["status"], told["test_result"]) == (conn(found), "active", "success")
    assert len(far.done) == 1


def test_a_token_that_is_refused_fails_the_test_and_expires(api: Api, stripe: Connection, far: Vendors) -> None:
    far.tokens.clear()
    told = read(api.post(f"/api/composio/test-connection/{conn(stripe)}?{T1}"))

    assert (told["status"], told["test_result"]) == ("expired", "failed")


def test_a_vendor_that_is_down_cannot_be_tested(api: Api, stripe: Connection, far: Vendors) -> None:
    far.failing = 1
    refused(api.post(f"/api/composio/test-connection/{conn(stripe)}?{T1}"), 500, "out of order")
    Connection.objects.update(url="http://127.0.0.1:1")
    refused(api.post(f"/api/composio/test-connection/{conn(stripe)}?{T1}"), 500, "stripe")


def test_the_61st_look_at_connections_in_a_minute_is_refused(api: Api) -> None:
    began = time.monotonic()
    answers = [api.get(f"/api/composio/connections?{T1}").status_code for _ in range(61)]

    assert time.monotonic() - began < 60
    assert answers == [200] * 60 + [429]


def test_apps_are_checked_before_they_are_stored(tenant: Tenant) -> None:
    from connectors.connecting import AppInvalid, save_app

    good: Json = {
        "tenant": tenant, "toolkit": "okta", "client_id": "c", "authorize_url": "https://a.example/x",
        "token_url": "https://a.example/t", "api_url": "https://a.example",
    }  # fmt: skip
    for name, value in [
        ("toolkit", "nope"), ("authorize_url", "ftp://a.example"), ("token_url", "https://a.example/?x=1"),
        ("api_url", ""), ("client_secret", "********"),
    ]:  # fmt: skip
        with pytest.raises(AppInvalid, match=name):
            save_app(**good | {name: value})
    assert save_app(**good, client_secret="secret-one").sealed_client_secret
    assert save_app(**good).sealed_client_secret
