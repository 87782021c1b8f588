"""``manage.py connect``: makes or updates a connection, and says so."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from accounts.models import Tenant
from connectors import selectors
from connectors.opening import opened
from connectors.routing import credential_of, endpoint_of

SECRET = "canary-9f31c0de77ab"

pytestmark = pytest.mark.django_db


def connect(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("connect", *arguments, stdout=out, **options)
    return out.getvalue()


def secrets_of(tenant: Tenant, name: str) -> dict[str, str]:
    connection = selectors.get_connection(tenant.id, name=name)
    found = opened(credential_of(connection), endpoint_of(connection))
    return {field: secret.reveal() for field, secret in found.items()}


def test_the_first_time_it_makes_and_the_second_time_it_updates(tenant: Tenant) -> None:
    made = connect("slack", "chat", "--url", "https://slack.example/api", "--secret", SECRET)
    updated = connect("slack", "chat", "--url", "https://slack.example")

    assert made == "Made connection chat (slack) of one to https://slack.example/api.\n"
    assert updated == "Updated connection chat (slack) of one to https://slack.example.\n"
    assert secrets_of(tenant, "chat") == {"token": SECRET}


def test_a_keyed_connection_stays_keyed(tenant: Tenant) -> None:
    connect("http", "api", "--url", "https://api.example", "--keyed")
    connect("http", "api", "--url", "https://api.example")

    assert selectors.get_connection(tenant.id, name="api").is_keyed


@pytest.mark.parametrize(
    ("kind", "url", "text", "options", "expected"),
    [
        ("jira", "https://j.example", f"{SECRET}\n", ["--user", "me@example.org"], {"token": SECRET}),
        ("http", "https://a.example", f"{SECRET}\r\n", ["--user", "me"], {"password": SECRET}),
        ("http", "https://a.example", f" {SECRET} ", [], {"token": f" {SECRET} "}),
        ("ssh", "ssh://a.example", SECRET, ["--user", "root"], {"password": SECRET}),
    ],
)
def test_a_secret_is_read_from_a_file(
    tenant: Tenant, tmp_path: Path, kind: str, url: str, text: str, options: list[str], expected: dict[str, str]
) -> None:
    (tmp_path / "secret").write_bytes(text.encode())

    out = connect(kind, "one", "--url", url, "--secret-file", str(tmp_path / "secret"), *options)

    assert secrets_of(tenant, "one") == expected
    assert SECRET not in out


def test_a_private_key_is_known_by_its_first_line(tenant: Tenant, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = key.export_private_key().decode()
    (tmp_path / "key").write_text(text)
    (tmp_path / "phrase").write_text("a-phrase-1234\n")

    out = connect(
        *("ssh", "host", "--url", "ssh://h.example:2222", "--user", "root"),
        *("--host-key", key.get_fingerprint("sha256"), "--secret-file", str(tmp_path / "key")),
        *("--passphrase-file", str(tmp_path / "phrase")),
    )

    assert out == "Made connection host (ssh) of one to ssh://h.example:2222.\n"
    assert secrets_of(tenant, "host") == {"private_key": text, "passphrase": "a-phrase-1234"}
    settings = selectors.get_connection(tenant.id, name="host").settings
    assert settings == {"user": "root", "host_key": key.get_fingerprint("sha256")}


def test_other_settings_are_given_as_json_and_added_to_what_is_stored(tenant: Tenant) -> None:
    connect("http", "api", "--url", "https://api.example", "--set", "idempotent=true", "--set", "call_limit=2.5")
    connect("http", "api", "--url", "https://api.example", "--set", "auth_header=X-Api-Key")

    settings = selectors.get_connection(tenant.id, name="api").settings
    assert settings == {"idempotent": True, "call_limit": 2.5, "auth_header": "X-Api-Key"}


def test_it_says_what_will_not_work_yet(tenant: Tenant, settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["10.0.0.0/8"]

    loopback = connect("http", "local", "--url", "http://127.0.0.1:8080", "--secret", "short")
    ssh = connect("ssh", "host", "--url", "ssh://10.1.2.3")

    assert "127.0.0.1 is not public. Calls need it in ALLOW_NETWORKS" in loopback
    assert "less than 8 characters" in loopback
    assert "no host key is pinned" in ssh
    assert "no user is named" in ssh
    assert "ALLOW_NETWORKS" not in ssh


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gopher", "x", "--url", "https://a.example"], "invalid choice"),
        (["http", "x"], "--url"),
        (["http", "x", "--url", "ftp://a.example"], "http:// or https://"),
        (["http", "x", "--url", "https://a.example", "--set", "nonsense=1"], "settings.nonsense"),
        (["http", "x", "--url", "https://a.example", "--set", "idempotent"], "NAME=VALUE"),
        (["http", "x", "--url", "https://a.example", "--secret-file", "/nowhere"], "cannot be read"),
        (["http", "x", "--url", "https://a.example", "--tenant", "nobody"], "nobody"),
        (["http", "x", "--url", "https://a.example", "--secret", "********"], "stars"),
        (["http", "x", "--url", "https://a.example", "--allow-network", "10"], "network"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(tenant: Tenant, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        connect(*arguments)

    assert not selectors.of(tenant.id).exists()


def test_with_several_tenants_one_must_be_named(tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="--tenant"):
        connect("http", "api", "--url", "https://api.example")

    connect("http", "api", "--url", "https://api.example", "--tenant", "two")

    assert selectors.list_names(other_tenant.id) == {"api"}
    assert selectors.list_names(tenant.id) == frozenset()


def test_without_a_tenant_it_says_how_to_get_one(db: None) -> None:
    with pytest.raises(CommandError, match=r"manage.py up"):
        connect("http", "api", "--url", "https://api.example")
