from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, User
from accounts.services import create_tenant, create_user, issue_api_key, revoke_api_key
from tests.api import NOON


@pytest.fixture
def other_key(db: None) -> str:
    tenant = create_tenant(slug="other", name="Other", now=NOON)
    user = create_user(tenant=tenant, email="o@other.example", password=None, role="admin", now=NOON)
    return issue_api_key(tenant=tenant, owner=user, name="other", now=NOON)[1]


def _is_refused(answer: Any) -> bool:
    return (
        answer.status_code == 401
        and answer["WWW-Authenticate"] == "Bearer"
        and answer.json()["code"] == "unauthorized"
        and "X-RateLimit-Limit" not in answer
    )


def test_the_key_is_taken_from_either_header_and_on_get_from_the_query_or_cookie(stranger: Client, key: str) -> None:
    for headers in ({"authorization": f"Bearer {key}"}, {"authorization": f"bearer  {key}"}, {"x-api-key": key}):
        assert stranger.get("/sample", headers=headers).json()["tenant"] == "acme"
    assert stranger.get(f"/sample?token={key}").json()["tenant"] == "acme"
    stranger.cookies["token"] = key
    assert stranger.get("/sample").json()["tenant"] == "acme"
    assert stranger.head("/sample").status_code == 200


def test_neither_query_nor_cookie_authorises_a_change(stranger: Client, key: str) -> None:
    stranger.cookies["token"] = key

    assert _is_refused(stranger.post(f"/sample?token={key}", b'{"name":"x"}', content_type="application/json"))


def test_without_credentials_nothing_is_shown(stranger: Client, db: None) -> None:
    assert _is_refused(stranger.get("/sample"))
    assert _is_refused(stranger.options("/sample"))
    assert _is_refused(stranger.delete("/sample"))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic Og=="},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer a b"},
        {"authorization": ""},
        {"authorization": "Bearer " + "x" * 2**20},
        {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        {"authorization": "Bearer {key},Bearer {key}"},
        {"authorization": "Bearer {key}, Bearer {other}"},
        {"authorization": "ApiKey {key}"},
        {"authorization": "Bearer {key}", "x-api-key": "{other}"},
        {"authorization": "Bearer {key}", "x-api-key": ""},
        {"x-api-key": "{key}x"},
        {"x-api-key": "s4e_live_\u00fc"},
    ],
    ids=str,
)
def test_anything_but_one_good_key_is_refused_alike(
    stranger: Client, key: str, other_key: str, headers: dict[str, str]
) -> None:
    sent = {name: value.format(key=key, other=other_key) for name, value in headers.items()}

    assert _is_refused(stranger.get("/sample", headers=sent))


def test_the_same_key_twice_is_one_credential(stranger: Client, key: str) -> None:
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}

    assert stranger.get(f"/sample?token={key}", headers=headers).status_code == 200


def test_two_keys_are_refused_even_when_both_are_good(stranger: Client, key: str, other_key: str) -> None:
    assert _is_refused(stranger.get(f"/sample?token={other_key}", headers={"x-api-key": key}))
    assert _is_refused(stranger.get(f"/sample?token={other_key}&token={key}"))


def test_a_header_makes_the_cookie_not_count(stranger: Client, key: str, other_key: str) -> None:
    stranger.cookies["token"] = other_key

    assert stranger.get("/sample", headers={"x-api-key": key}).json()["tenant"] == "acme"


def test_a_revoked_key_is_refused_with_the_next_request(client: Client, key: str) -> None:
    assert client.get("/sample").status_code == 200
    revoke_api_key(key=ApiKey.objects.get(), now=NOON)

    assert _is_refused(client.get("/sample"))


def test_an_expired_key_and_that_of_a_closed_account_are_refused(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert _is_refused(client.get("/sample"))

    User.objects.filter(pk=owner.pk).update(is_active=True)
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert _is_refused(client.get("/sample"))


def test_naming_another_tenant_changes_nothing(client: Client, other_key: str) -> None:
    answer = client.get("/sample?tenant_id=other&tenant=other", headers={"x-tenant-id": "other"})

    assert answer.json()["tenant"] == "acme"


def test_a_caller_without_the_permission_is_told_so_with_403(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(role="viewer")

    assert client.get("/sample").status_code == 200
    refused = client.post("/sample", b"{", content_type="text/plain")
    assert refused.status_code == 403
    assert refused.json()["code"] == "forbidden"


def test_an_open_route_asks_for_nothing_but_refuses_wrong_credentials(stranger: Client, key: str) -> None:
    assert stranger.get("/sample/open").json() == {"known": False}
    assert stranger.get("/sample/open", headers={"x-api-key": key}).json() == {"known": True}
    assert _is_refused(stranger.get("/sample/open", headers={"x-api-key": "wrong"}))


def test_no_key_reaches_the_log(stranger: Client, key: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        stranger.get(f"/sample?token={key}")
        stranger.get(f"/sample/nothing?token={key}")
        stranger.get("/sample", headers={"x-api-key": key[:-1]})

    records = [record for record in caplog.records if record.name != "django.db.backends"]
    written = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in records)
    assert "/sample 200" in written
    assert key[20:40] not in written
