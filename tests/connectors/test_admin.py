"""Connections in the admin: secrets go in and never come out (SEC-21)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Tenant
from accounts.services import create_user
from connectors import selectors
from connectors.models import Connection
from connectors.opening import opened
from connectors.routing import credential_of, endpoint_of
from tests.connectors.calls import NOON, Connect

CANARY = "canary-9f31c0de77ab"
LIST = "admin:connectors_connection_changelist"
ADD = "admin:connectors_connection_add"
CHANGE = "admin:connectors_connection_change"

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(tenant: Tenant, client: Client) -> Client:
    person = create_user(tenant=tenant, email="a@one.example", password=None, role="tenant_admin", now=NOON)
    person.is_staff = True
    person.save()
    client.force_login(person, backend="accounts.backends.LoginBackend")
    return client


def form(tenant: Tenant | None, **more: Any) -> dict[str, Any]:
    values = {
        "kind": "http",
        "name": "api",
        "url": "https://api.example",
        "settings": "{}",
        "allow_networks": "",
        "hosts": "",
        "is_enabled": "on",
        "new_secret": "",
    }
    return {**values, **({"tenant": str(tenant.id)} if tenant else {}), **more}


def secrets_of(connection: Connection) -> dict[str, str]:
    found = opened(credential_of(connection), endpoint_of(connection))
    return {field: secret.reveal() for field, secret in found.items()}


def test_a_connection_is_made_with_its_secret_sealed(admin: Client, tenant: Tenant) -> None:
    given = form(tenant, new_secret=CANARY, settings='{"user": "me"}', url="http://10.1.2.3")
    answer = admin.post(reverse(ADD), given)

    assert answer.status_code == 302, answer.content.decode()
    connection = selectors.get_connection(tenant.id, name="api")
    assert secrets_of(connection) == {"password": CANARY}
    assert connection.allow_networks == ["10.1.2.3/32"]
    assert CANARY not in json.dumps(connection.sealed_secrets)


def test_an_update_without_a_secret_leaves_it_and_no_page_shows_it(
    admin: Client, tenant: Tenant, connect: Connect
) -> None:
    connection = connect("http", "api", "https://api.example", secrets={"token": CANARY})
    sealed = connection.sealed_secrets["token"]

    answer = admin.post(reverse(CHANGE, args=[connection.id]), form(None, url="https://api.example/v2", is_keyed="on"))

    assert answer.status_code == 302, answer.content.decode()
    connection = selectors.get_connection(tenant.id, name="api")
    assert (connection.url, connection.is_keyed) == ("https://api.example/v2", True)
    assert secrets_of(connection) == {"token": CANARY}
    for page in (reverse(LIST), reverse(CHANGE, args=[connection.id])):
        shown = admin.get(page).content.decode()
        assert "https://api.example/v2" in shown
        assert CANARY not in shown
        assert sealed not in shown


def test_a_refused_form_says_why_and_does_not_give_the_secret_back(admin: Client, tenant: Tenant) -> None:
    answer = admin.post(reverse(ADD), form(tenant, url="ftp://api.example", new_secret=CANARY))

    assert answer.status_code == 200
    assert "http:// or https://" in answer.content.decode()
    assert CANARY not in answer.content.decode()
    assert not selectors.of(tenant.id).exists()


def test_the_stars_are_no_secret(admin: Client, tenant: Tenant) -> None:
    answer = admin.post(reverse(ADD), form(tenant, new_secret="********"))

    assert "stars" in answer.content.decode()
    assert not selectors.of(tenant.id).exists()


def test_the_host_does_not_move_with_the_old_secret(admin: Client, tenant: Tenant, connect: Connect) -> None:
    connection = connect("http", "api", "https://api.example", secrets={"token": CANARY})

    answer = admin.post(reverse(CHANGE, args=[connection.id]), form(None, url="https://other.example"))

    assert "give its secret again" in answer.content.decode()
    assert selectors.get_connection(tenant.id, name="api").url == "https://api.example"


def test_connections_of_another_tenant_are_not_there(admin: Client, other_tenant: Tenant, connect: Connect) -> None:
    theirs = connect("http", "theirs", "https://theirs.example", tenant=other_tenant)

    listed = admin.get(reverse(LIST)).content.decode()
    assert "theirs.example" not in listed
    assert other_tenant.name not in listed
    assert admin.get(reverse(CHANGE, args=[theirs.id])).status_code == 302
    assert "theirs.example" not in admin.get(f"{reverse(LIST)}?q=theirs").content.decode()
    admin.post(reverse(ADD), form(other_tenant, name="planted"))
    assert selectors.list_names(other_tenant.id) == {"theirs"}


@pytest.mark.parametrize("query", ["q=api", "kind__exact=http", "is_enabled__exact=1", f"q={NOON.year}"])
def test_the_list_can_be_searched_and_filtered(admin: Client, connect: Connect, query: str) -> None:
    connect("http", "api", "https://api.example")

    assert admin.get(f"{reverse(LIST)}?{query}").status_code == 200
