"""A playbook names a stored SSH key (``kms``), and logs on with it at a real OpenSSH server."""

from __future__ import annotations

from collections.abc import Iterator

import asyncssh
import pytest

from accounts.models import Tenant
from connectors import keys
from connectors.base import OutcomeKind
from connectors.dispatch import Call, Destination
from tests.connectors.calls import KEY, NOON, Connect, Run, parts
from tests.connectors.sshd import KEY_PASSPHRASE, Sshd, sshd

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def host(server: Sshd, connect: Connect) -> Sshd:
    """The server, with a connection that pins its key and holds no secret."""
    connect("ssh", "host", server.url, secrets={}, settings={"host_key": server.fingerprint})
    return server


def store(tenant: Tenant, server: Sshd, *, is_locked: bool = False) -> None:
    public = asyncssh.import_private_key(server.private_key).export_public_key().decode()
    pair = keys.Pair(public, server.locked_key, KEY_PASSPHRASE) if is_locked else keys.Pair(public, server.private_key)
    keys.add_key(tenant=tenant, name="web-key", pair=pair, now=NOON)


def call(server: Sshd, name: str = "web-key") -> Call:
    login = {"type": "user-auth", "username": server.user, "kms": True, "kms_key_identifier": name}
    place = Destination("ssh--1", "ssh", "host", {}, authentication=login)
    return Call(key=KEY, arguments={"command": parts("echo found")}, command_type="ssh", target=place)


@pytest.mark.parametrize("is_locked", [False, True])
def test_the_named_key_logs_on(run: Run, tenant: Tenant, host: Sshd, is_locked: bool) -> None:
    store(tenant, host, is_locked=is_locked)

    assert run(call(host)).outcome.output == "found\n"


def test_the_connections_own_secret_comes_first(run: Run, tenant: Tenant, host: Sshd, connect: Connect) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    pair = keys.Pair(other.export_public_key().decode(), other.export_private_key().decode())
    keys.add_key(tenant=tenant, name="web-key", pair=pair, now=NOON)
    assert run(call(host)).outcome.code == "unauthorized"

    settings = {"host_key": host.fingerprint, "user": host.user}
    connect("ssh", "host", host.url, secrets={"private_key": host.private_key}, settings=settings)
    assert run(call(host)).outcome.output == "found\n"


def test_a_revoked_or_foreign_key_sends_nothing(run: Run, tenant: Tenant, other_tenant: Tenant, host: Sshd) -> None:
    store(other_tenant, host)
    outcome = run(call(host)).outcome
    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "no_connection", False)

    store(tenant, host)
    keys.revoke_key(tenant=tenant, name="web-key")
    assert run(call(host)).outcome.code == "no_connection"
