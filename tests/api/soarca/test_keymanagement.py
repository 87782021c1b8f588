"""/keymanagement: SSH keys that playbooks name; private keys come in and never go out."""

from __future__ import annotations

import base64
import logging
from functools import cache
from typing import Any

import asyncssh
import pytest
from django.db import connection

from accounts.models import Tenant
from connectors.key_models import ManagedKey
from core.keyring import keyring
from core.secrets import SecretContext, SecretUnreadable, open_sealed
from tests.api.soarca.calls import Api, Json, assert_error, make_caller, read

pytestmark = pytest.mark.django_db
PASSPHRASE = "a phrase for the key 4711"


@cache
def pair(number: int = 1, *, passphrase: str | None = None, algorithm: str = "ssh-ed25519") -> tuple[str, str]:
    """(public, private) as text; ``number`` tells pairs apart."""
    key = asyncssh.generate_private_key(algorithm, comment=f"key {number}")
    rounds: Any = {"rounds": 1} if passphrase else {}
    private = key.export_private_key("openssh", passphrase, **rounds)
    return key.export_public_key().decode(), private.decode()


def body(number: int = 1, **changes: Any) -> Json:
    public, private = pair(number)
    return {"public": public, "private": private, "passphrase": "", **changes}


def locked(**changes: Any) -> Json:
    public, private = pair(9, passphrase=PASSPHRASE)
    return {"public": public, "private": private, "passphrase": PASSPHRASE, **changes}


def test_soa_092_names_are_listed_and_only_to_who_may_write_keys(api: Api, tenant: Tenant, stranger: Api) -> None:
    for name in ("web2", "web1"):
        assert api.put(f"/keymanagement/{name}", body()).status_code == 200

    response = api.get("/keymanagement")
    assert (response.status_code, read(response)) == (200, ["web1", "web2"])
    assert read(api.get("/keymanagement/")) == ["web1", "web2"]
    assert read(stranger.get("/keymanagement")) == []
    for role in ("viewer", "soc_lead", "analyst"):
        caller = make_caller(tenant, role)
        assert_error(caller.get("/keymanagement"), 403)
        assert_error(caller.put("/keymanagement/web3", body()), 403)
    assert_error(Api().get("/keymanagement"), 401)


@pytest.mark.parametrize("given", [body(), locked(), body(passphrase=None)], ids=["plain", "locked", "null"])
def test_soa_093_a_pair_is_stored_sealed_and_shown_nowhere(
    api: Api, tenant: Tenant, given: Json, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = api.put("/keymanagement/web1", given)

    assert (response.status_code, read(response)) == (200, {})
    assert read(api.get("/keymanagement")) == ["web1"]
    line = given["private"].splitlines()[1]
    assert line not in caplog.text + api.get("/keymanagement").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT k::text FROM connectors_managedkey k")
        stored = cursor.fetchone()[0]
    assert line not in stored
    assert PASSPHRASE not in stored
    key = ManagedKey.objects.get()
    context = SecretContext(str(tenant.pk), "connectors_managedkey", str(key.pk), "private_key")
    sealed = key.sealed_secrets["private_key"]
    assert open_sealed(sealed, context=context, keyring=keyring()).reveal() == given["private"]
    other = SecretContext(str(tenant.pk), "connectors_connection", str(key.pk), "private_key")
    with pytest.raises(SecretUnreadable):
        open_sealed(sealed, context=other, keyring=keyring())


def test_soa_094_a_name_that_exists_is_400(api: Api, stranger: Api) -> None:
    assert api.put("/keymanagement/web1", body()).status_code == 200

    assert_error(api.put("/keymanagement/web1", body(2)), 400, original="PUT /keymanagement/web1", says="already")
    assert ManagedKey.objects.get().public == body()["public"].strip()
    assert stranger.put("/keymanagement/web1", body()).status_code == 200


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(body(private="no key"), "private", id="private"),
        pytest.param(body(public="no key"), "public", id="public"),
        pytest.param(body(public=pair()[1]), "public", id="public-is-private"),
        pytest.param(body(private=pair()[0]), "private", id="private-is-public"),
        pytest.param(locked(passphrase="wrong"), "passphrase", id="wrong-passphrase"),
        pytest.param(locked(passphrase=""), "passphrase", id="no-passphrase"),
        pytest.param(body(public=pair(2)[0]), "belong together", id="another-pair"),
        pytest.param(body(private="*" * 8), "Stars", id="stars"),
        pytest.param(body(private="x" * 70_000), "64 KiB", id="long"),
        pytest.param({"public": pair()[0]}, "private", id="missing"),
        pytest.param(body(private=None), "private", id="null"),
        pytest.param(body(private=7), "private", id="number"),
        pytest.param(body(comment="x"), "comment", id="unknown-field"),
    ],
)
def test_soa_094_what_is_no_pair_is_400_and_not_repeated(api: Api, given: Json, says: str) -> None:
    for call in (api.put, lambda path, sent: api.send("PATCH", path, sent)):
        answer = assert_error(call("/keymanagement/web1", given), 400, says=says)
        assert pair()[1].splitlines()[1] not in str(answer)
    assert not ManagedKey.objects.exists()


@pytest.mark.parametrize("octets", [b"", b"[]", b"{", b'{"public": "a", "public": "b"}'])
def test_a_body_that_is_none_is_400(api: Api, octets: bytes) -> None:
    assert_error(api.put("/keymanagement/web1", octets), 400)


def test_a_key_that_takes_too_long_to_open_is_refused(api: Api) -> None:
    public, private = pair(9, passphrase=PASSPHRASE)
    lines = private.strip().splitlines()
    octets = base64.b64decode("".join(lines[1:-1]))
    slow = octets.replace(b"\x00\x00\x00\x01", b"\x7f\xff\xff\xff", 1)
    assert slow != octets
    text = "\n".join([lines[0], base64.b64encode(slow).decode(), lines[-1]])

    given = {"public": public, "private": text, "passphrase": PASSPHRASE}
    assert_error(api.put("/keymanagement/web1", given), 400, says="rounds")


def test_soa_095_a_pair_is_replaced(api: Api, stranger: Api) -> None:
    assert api.put("/keymanagement/web1", body()).status_code == 200

    response = api.send("PATCH", "/keymanagement/web1", body(2))
    assert (response.status_code, read(response)) == (200, {})
    assert ManagedKey.objects.get().public == body(2)["public"].strip()
    assert_error(api.send("PATCH", "/keymanagement/none", body()), 400, original="PATCH /keymanagement/none")
    assert_error(stranger.send("PATCH", "/keymanagement/web1", body()), 400)


def test_soa_096_a_key_is_revoked_with_its_secrets(api: Api, stranger: Api) -> None:
    assert api.put("/keymanagement/web1", body()).status_code == 200
    assert_error(stranger.delete("/keymanagement/web1"), 400)

    response = api.delete("/keymanagement/web1")
    assert (response.status_code, read(response)) == (200, {})
    assert not ManagedKey.objects.exists()
    assert_error(api.delete("/keymanagement/web1"), 400)
    assert api.put("/keymanagement/web1", body(2)).status_code == 200


@pytest.mark.parametrize("name", ["-x", ".x", "a:b", "a%20b", "x" * 129, "a/b"])
def test_a_name_that_is_none_finds_nothing(api: Api, name: str) -> None:
    assert_error(api.put(f"/keymanagement/{name}", body()), 404)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_verbs_are_405(api: Api, method: str) -> None:
    response = api.send(method, "/keymanagement/web1", {} if method == "POST" else None)

    assert_error(response, 405)
    assert response["Allow"] == "PUT, PATCH, DELETE"
