"""/api/native/connections: made, changed and removed; secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Tenant
from connectors.models import Connection
from tests.api.native.calls import Api, at_fault, problem, read

NOBODY = "5d0f7c1e-8a47-4b0e-9a53-6c1f2e0b9d74"  # the same in every process that collects these tests
CANARY = "canary-5d1e8c30b7"
GIVEN = {
    "kind": "http", "name": "tickets", "url": "https://203.0.113.9/api", "secrets": {"token": CANARY},
    "settings": {"auth_header": "X-Token"}, "is_keyed": True, "hosts": ["203.0.113.10"],
}  # fmt: skip


@pytest.fixture
def made(api: Api) -> dict[str, Any]:
    return read(api.post("/connections", GIVEN), 201)


def path(made: dict[str, Any], more: str = "") -> str:
    return f"/connections/{made['id']}{more}"


def test_a_connection_is_made_and_read_without_its_secrets(api: Api, made: dict[str, Any]) -> None:
    told = read(api.get(path(made)))

    assert (told["name"], told["kind"], told["url"]) == ("tickets", "http", "https://203.0.113.9/api")
    assert (told["secrets"], told["settings"], told["is_keyed"]) == (["token"], {"auth_header": "X-Token"}, True)
    assert (told["is_enabled"], told["hosts"], told["last_error"]) == (True, ["203.0.113.10"], "")
    assert read(api.get("/connections"))["items"] == [told]
    assert CANARY not in json.dumps([made, told])
    assert CANARY not in json.dumps(Connection.objects.values().get(), default=str)


def test_notes_say_what_will_not_work_yet(api: Api) -> None:
    told = read(api.post("/connections", {"kind": "ssh", "name": "box", "url": "ssh://10.1.2.3"}), 201)

    assert len(told["notes"]) == 3
    assert any("10.1.2.3 is not public" in note for note in told["notes"])
    assert any("host key" in note for note in told["notes"])
    assert told["allow_networks"] == ["10.1.2.3/32"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "fax"}, None),
        ({"kind": None}, "kind"),
        ({"name": ""}, "name"),
        ({"name": " padded "}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": 7}, "name"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "gopher://x/"}, "url"),
        ({"url": "https://user:pass@203.0.113.9/"}, "url"),
        ({"url": "https://203.0.113.9/?q=1"}, "url"),
        ({"url": "https://203.0.113.9:65536/"}, "url"),
        ({"url": "not a url"}, "url"),
        ({"url": 7}, "url"),
        ({"settings": []}, "settings"),
        ({"settings": {"unknown": 1}}, "settings.unknown"),
        ({"settings": {"call_limit": "long"}}, "settings.call_limit"),
        ({"secrets": []}, "secrets"),
        ({"secrets": {"pin": "1"}}, "secrets.pin"),
        ({"secrets": {"token": 7}}, "secrets.token"),
        ({"secrets": {"token": "***"}}, "secrets.token"),
        ({"secrets": {"token": ""}}, "secrets.token"),
        ({"allow_networks": ["10.0.0.0/33"]}, None),
        ({"allow_networks": "10.0.0.0/8"}, "allow_networks"),
        ({"hosts": [7]}, "hosts[0]"),
        ({"is_keyed": "yes"}, "is_keyed"),
        ({"tenant_id": "x"}, "tenant_id"),
        ({"sealed_secrets": {}}, "sealed_secrets"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_names_the_field(
    api: Api, change: dict[str, Any], field: str | None
) -> None:
    response = api.post("/connections", {**GIVEN, **change})

    if field is None:
        problem(response, 422)
    else:
        at_fault(response, field)
    assert not Connection.objects.exists()
    assert CANARY not in response.content.decode()


def test_a_name_is_taken_once(api: Api, made: dict[str, Any]) -> None:
    problem(api.post("/connections", {**GIVEN, "url": "https://203.0.113.77"}), 409, "connection_name_taken")
    problem(api.post("/connections", {"kind": "slack", "name": "tickets", "url": "https://a.example"}), 409)

    assert read(api.get(path(made)))["url"] == GIVEN["url"]


def test_what_is_given_is_changed_and_the_rest_stays(api: Api, made: dict[str, Any]) -> None:
    told = read(api.send("PATCH", path(made), {"is_enabled": False, "url": "https://203.0.113.9/v2"}))

    assert (told["is_enabled"], told["url"]) == (False, "https://203.0.113.9/v2")
    assert (told["secrets"], told["settings"], told["hosts"]) == (["token"], made["settings"], made["hosts"])
    for given in ({"name": "other"}, {"kind": "ssh"}, {"secrets": {"token": "x"}}):
        at_fault(api.send("PATCH", path(made), given), *given)
    read(api.send("PATCH", path(made), {}))


def test_a_secret_does_not_move_to_another_host_unless_it_is_given_again(api: Api, made: dict[str, Any]) -> None:
    problem(api.send("PATCH", path(made), {"url": "https://203.0.113.66/"}), 409, "secret_needed")

    read(api.send("DELETE", path(made, "/secrets/token")))
    read(api.send("PATCH", path(made), {"url": "https://203.0.113.66/"}))
    told = read(api.send("PUT", path(made, "/secrets/token"), {"value": CANARY}))
    assert (told["url"], told["secrets"]) == ("https://203.0.113.66/", ["token"])


def test_secrets_are_set_and_removed_one_by_one_and_never_shown(api: Api, made: dict[str, Any]) -> None:
    before = Connection.objects.get().sealed_secrets
    response = api.send("PUT", path(made, "/secrets/password"), {"value": f"{CANARY}-2"})

    assert read(response)["secrets"] == ["password", "token"]
    assert CANARY not in response.content.decode()
    assert Connection.objects.get().sealed_secrets["token"] == before["token"]
    assert read(api.send("DELETE", path(made, "/secrets/token")))["secrets"] == ["password"]
    assert read(api.send("DELETE", path(made, "/secrets/token")))["secrets"] == ["password"]
    problem(api.get(path(made, "/secrets/token")), 405)


@pytest.mark.parametrize("value", [None, "", " ", 7, "***", "x" * 20_001, ["a"]])
def test_a_secret_is_a_text(api: Api, made: dict[str, Any], value: Any) -> None:
    at_fault(api.send("PUT", path(made, "/secrets/token"), {"value": value}), "value")


def test_a_secret_field_that_there_is_not_is_not_found(api: Api, made: dict[str, Any]) -> None:
    problem(api.send("PUT", path(made, "/secrets/pin"), {"value": "12345678"}), 404, "secret_field_unknown")
    assert api.send("PUT", path(made, "/secrets/%00"), {"value": "12345678"}).status_code == 404


def test_only_a_disabled_connection_is_deleted(api: Api, made: dict[str, Any]) -> None:
    problem(api.send("DELETE", path(made)), 409, "connection_enabled")
    read(api.send("PATCH", path(made), {"is_enabled": False}))

    assert api.send("DELETE", path(made)).status_code == 204
    problem(api.send("DELETE", path(made)), 404, "connection_not_found")
    assert not Connection.objects.exists()


def test_connections_are_paged_by_name(api: Api) -> None:
    for name in ("b", "a", "c"):
        read(api.post("/connections", {"kind": "http", "name": name, "url": "https://203.0.113.9"}), 201)
    first = read(api.get("/connections?limit=2"))
    second = read(api.get(f"/connections?limit=2&cursor={first['next']}"))

    assert [item["name"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert read(api.get("/connections?kind=ssh"))["items"] == []
    at_fault(api.get("/connections?kind=fax"), "kind")


def test_tenants_see_nothing_of_each_other(api: Api, stranger: Api, made: dict[str, Any]) -> None:
    assert read(stranger.get("/connections"))["items"] == []
    problem(stranger.get(path(made)), 404, "connection_not_found")
    problem(stranger.send("PATCH", path(made), {"is_enabled": False}), 404, "connection_not_found")
    problem(stranger.send("DELETE", path(made)), 404, "connection_not_found")
    problem(stranger.send("PUT", path(made, "/secrets/token"), {"value": "12345678"}), 404, "connection_not_found")
    read(stranger.post("/connections", GIVEN), 201)
    assert read(api.get(path(made)))["is_enabled"] is True


def test_writing_is_for_those_who_may(
    tenant: Tenant, viewer: Api, caller: Callable[..., Api], made: dict[str, Any]
) -> None:
    for other in (viewer, caller(tenant, "soc_lead")):
        read(other.get(path(made)))
        problem(other.post("/connections", GIVEN), 403)
        problem(other.send("PATCH", path(made), {"is_enabled": False}), 403)
        problem(other.send("DELETE", path(made)), 403)
        problem(other.send("PUT", path(made, "/secrets/token"), {"value": "12345678"}), 403)
    problem(Api().get(path(made)), 401)
    problem(caller(tenant, "api_service").get("/connections"), 403)


@pytest.mark.parametrize("reference", [NOBODY, "tickets", "0", "null", "%0d%0a", "x" * 5_000])
def test_what_names_no_connection_is_not_found(api: Api, reference: str) -> None:
    assert api.get(f"/connections/{reference}").status_code == 404
