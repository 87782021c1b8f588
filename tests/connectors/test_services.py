"""Connections are stored checked, their secrets sealed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors import selectors
from connectors.models import Connection
from connectors.opening import context_of, opened
from connectors.planning import Credential
from connectors.routing import credential_of, endpoint_of
from connectors.services import ConnectionInvalid, KindChanged, SecretNeeded, note_last_error, save_connection
from core.errors import NotFound
from core.keyring import keyring
from core.secrets import SecretUnreadable, open_sealed
from tests.connectors.calls import NOON, Connect

CANARY = "canary-9f31c0de77ab"


def test_a_secret_is_stored_sealed_and_opens_only_where_it_belongs(connect: Connect) -> None:
    one = connect("http", "one", "https://a.example", secrets={"token": CANARY})
    two = connect("http", "two", "https://a.example", secrets={"token": "another-secret-value"})

    stored = json.dumps(Connection.objects.filter(pk=one.pk).values_list("sealed_secrets", flat=True)[0])
    assert CANARY not in stored
    assert opened(credential_of(one), endpoint_of(one))["token"].reveal() == CANARY
    with pytest.raises(SecretUnreadable):
        open_sealed(one.sealed_secrets["token"], context=context_of(two.tenant_id, two.id, "token"), keyring=keyring())


def test_what_is_not_given_stays_as_it_is(connect: Connect) -> None:
    connect("http", "one", "https://a.example", secrets={"token": CANARY}, settings={"user": "u"}, keyed=True)

    again = connect("http", "one", "https://a.example/api")

    assert again.url == "https://a.example/api"
    assert (again.settings, again.is_keyed) == ({"user": "u"}, True)
    assert opened(credential_of(again), endpoint_of(again))["token"].reveal() == CANARY
    assert selectors.of(again.tenant_id).count() == 1


@pytest.mark.parametrize("url", ["https://b.example", "http://a.example"])
def test_a_stored_secret_does_not_follow_to_another_host_or_off_tls(connect: Connect, url: str) -> None:
    connect("http", "one", "https://a.example", secrets={"token": CANARY})

    with pytest.raises(SecretNeeded):
        connect("http", "one", url)

    assert connect("http", "one", url, secrets={"token": CANARY}).url == url


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("http://127.0.0.1:8080", ["127.0.0.1/32"]),
        ("http://localhost:8080", ["127.0.0.1/32"]),
        ("http://[::1]:8080", ["::1/128"]),
        ("http://10.1.2.3", ["10.1.2.3/32"]),
        ("https://8.8.8.8", []),
    ],
)
def test_the_address_of_its_own_url_is_allowed(connect: Connect, url: str, networks: list[str]) -> None:
    found = connect("http", "one", url).allow_networks

    assert set(networks) <= set(found)
    assert bool(found) == bool(networks)


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "gopher"},
        {"name": ""},
        {"name": " a"},
        {"name": "a\nb"},
        {"name": "x" * 129},
        {"url": "ftp://a.example"},
        {"url": "https://user:word@a.example"},
        {"url": "https://a.example?x=1"},
        {"url": "a.example"},
        {"url": "https://a.example/" + "x" * 2000},
        {"kind": "ssh", "url": "https://a.example"},
        {"kind": "ssh", "url": "ssh://a.example/path"},
        {"secrets": {"token": "********"}},
        {"secrets": {"token": ""}},
        {"secrets": {"api_key": "abcdefgh"}},
        {"allow_networks": ["10.0.0.0/64"]},
    ],
)
def test_what_cannot_work_is_refused_and_not_stored(tenant: Tenant, wanted: dict[str, Any]) -> None:
    with pytest.raises(ConnectionInvalid):
        save_connection(tenant=tenant, now=NOON, **{"kind": "http", "name": "a", "url": "https://a.example", **wanted})

    assert not selectors.of(tenant.id).exists()


def test_a_connection_does_not_change_its_kind(connect: Connect) -> None:
    connect("http", "one", "https://a.example")

    with pytest.raises(KindChanged):
        connect("slack", "one", "https://a.example")


def test_tenants_do_not_see_each_others_connections(connect: Connect, tenant: Tenant, other_tenant: Tenant) -> None:
    connect("http", "same", "https://a.example")
    theirs = connect("http", "same", "https://b.example", tenant=other_tenant)

    assert selectors.get_connection(other_tenant.id, name="same") == theirs
    assert selectors.list_names(tenant.id) == {"same"}
    with pytest.raises(NotFound):
        selectors.get_connection(tenant.id, name="other")


def test_a_secret_of_another_tenant_does_not_open(connect: Connect, other_tenant: Tenant) -> None:
    mine = connect("http", "one", "https://a.example", secrets={"token": CANARY})

    with pytest.raises(SecretUnreadable):
        opened(Credential(other_tenant.id, mine.id, mine.sealed_secrets), endpoint_of(mine))


def test_the_mark_of_a_refused_credential_comes_and_goes(connect: Connect) -> None:
    connection = connect("http", "one", "https://a.example", secrets={"token": CANARY})

    note_last_error(connection=connection, error="x" * 400)
    connection.refresh_from_db()
    assert connection.last_error == "x" * 300

    connect("http", "one", "https://a.example", secrets={"token": "a-new-secret-value"})
    connection.refresh_from_db()
    assert connection.last_error == ""


def test_the_name_of_the_url_is_not_resolved_into_nothing(connect: Connect, settings: Settings) -> None:
    assert connect("http", "one", "https://no-such-name.invalid").allow_networks == []
