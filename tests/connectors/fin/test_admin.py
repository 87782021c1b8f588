"""Fins and keys in the admin: looked at, ruled, taken out; tokens go in and never come out."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_user
from connectors.fin.models import Fin, FinRule, FinToken
from connectors.fin.selectors import digest_of, tenant_of_registration
from connectors.fin.services import Capability, register_http, register_mqtt
from connectors.key_models import ManagedKey
from tests.factories import NOON, TenantFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-good-length"


@pytest.fixture
def tenant(db: None) -> Tenant:
    made: Tenant = TenantFactory()
    return made


@pytest.fixture
def browser(tenant: Tenant) -> Client:
    staff = create_user(
        tenant=tenant, email="staff@acme.example", password=None, role="tenant_admin", is_staff=True, now=NOON
    )
    client = Client()
    client.force_login(staff)
    return client


def test_a_token_is_set_and_never_shown(browser: Client, tenant: Tenant) -> None:
    path = "/admin/connectors/fintoken/"
    given = {"tenant": str(tenant.pk), "new_token": "short"}
    assert "16 printable" in browser.post(f"{path}add/", given).text
    assert not FinToken.objects.exists()

    assert browser.post(f"{path}add/", {**given, "new_token": TOKEN}).status_code == 302
    assert tenant_of_registration(TOKEN) == tenant.pk
    row = FinToken.objects.get()
    for page in (path, f"{path}{row.pk}/change/"):
        text = browser.get(page).text
        assert TOKEN not in text
        assert digest_of(TOKEN) not in text
    assert browser.post(f"{path}{row.pk}/change/", {"new_token": TOKEN + "-2"}).status_code == 302
    assert tenant_of_registration(TOKEN) is None
    assert tenant_of_registration(TOKEN + "-2") == tenant.pk


def test_a_rule_is_made(browser: Client, tenant: Tenant) -> None:
    given = {"tenant": str(tenant.pk), "capability": "echo-tool", "effect": "idempotent"}

    assert browser.post("/admin/connectors/finrule/add/", given).status_code == 302
    assert FinRule.objects.get().effect == "idempotent"


def test_fins_are_listed_and_taken_out(browser: Client, tenant: Tenant) -> None:
    capabilities = [Capability("echo-tool")]
    fin, token = register_http(
        tenant_id=tenant.pk, display_name="the echo", protocol_version="1", capabilities=capabilities,
        now=timezone.now(),
    )  # fmt: skip
    other = register_mqtt(
        tenant_id=tenant.pk, name="fin-1", display_name="", protocol_version="", capabilities=[Capability("cap")],
        now=timezone.now(),
    )  # fmt: skip
    text = browser.get("/admin/connectors/fin/").text
    assert "the echo" in text
    assert "echo-tool" in text
    assert token not in text
    assert digest_of(token) not in browser.get(f"/admin/connectors/fin/{fin.pk}/change/").text

    for each in (fin, other):
        assert browser.post(f"/admin/connectors/fin/{each.pk}/delete/", {"post": "yes"}).status_code == 302
    left = Fin.objects.get()  # it is to be told first
    assert (left.pk, left.removed_at is None) == (other.pk, False)
    assert f"/admin/connectors/fin/{other.pk}/change/" not in browser.get("/admin/connectors/fin/").text


def test_keys_are_shown_without_what_is_secret(browser: Client, tenant: Tenant) -> None:
    key = ManagedKey.objects.create(
        tenant=tenant, name="web1", public="ssh-ed25519 AAAA", created_at=NOON, updated_at=NOON,
        sealed_secrets={"private_key": "sealed-record"},
    )  # fmt: skip

    for page in ("/admin/connectors/managedkey/", f"/admin/connectors/managedkey/{key.pk}/change/"):
        text = browser.get(page).text
        assert "web1" in text
        assert "sealed-record" not in text
    assert browser.get("/admin/connectors/managedkey/add/").status_code == 403
