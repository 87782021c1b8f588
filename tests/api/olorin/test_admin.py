"""What operators set: OAuth clients and signing secrets, by the admin's forms; the audit is read there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from connectors.toolkit_models import SoarSettings, ToolkitApp, ToolkitCall

SECRET = "a-signing-secret-of-some-length-0001"


@pytest.fixture
def operator(tenant: Tenant) -> Client:
    from accounts.services import create_user

    user = create_user(
        tenant=None, email="operator@example.org", password=None, role="platform_admin", now=timezone.now(),
        is_staff=True, is_superuser=True,
    )  # fmt: skip
    client = Client()
    client.force_login(user)
    return client


def test_a_signing_secret_is_set_and_never_shown(operator: Client, tenant: Tenant) -> None:
    path = "/admin/connectors/soarsettings"
    sent: dict[str, Any] = {"tenant": str(tenant.pk), "new_secret": "too short"}
    assert b"32 printable characters" in operator.post(f"{path}/add/", sent).content
    assert operator.post(f"{path}/add/", sent | {"new_secret": SECRET}).status_code == 302

    found = SoarSettings.objects.get()
    assert found.sealed_secret
    page = operator.get(f"{path}/{tenant.pk}/change/").content.decode()
    assert SECRET not in page + found.sealed_secret
    assert (
        operator.post(f"{path}/{tenant.pk}/change/", {"require_timestamp": "on", "new_secret": ""}).status_code == 302
    )
    changed = SoarSettings.objects.get()
    assert changed.require_timestamp
    assert changed.sealed_secret == found.sealed_secret


def test_an_oauth_client_is_set_and_its_secret_never_shown(operator: Client, tenant: Tenant) -> None:
    path = "/admin/connectors/toolkitapp"
    sent = {
        "tenant": str(tenant.pk), "toolkit": "okta", "client_id": "c", "client_secret": SECRET, "scopes": "",
        "authorize_url": "https://a.example/x", "token_url": "ftp://a.example", "api_url": "https://a.example",
    }  # fmt: skip
    assert b"token_url" in operator.post(f"{path}/add/", sent).content
    assert operator.post(f"{path}/add/", sent | {"token_url": "https://a.example/t"}).status_code == 302

    app = ToolkitApp.objects.get()
    assert app.sealed_client_secret
    assert SECRET not in operator.get(f"{path}/{app.pk}/change/").content.decode()


def test_the_audit_is_read_and_not_changed(operator: Client, tenant: Tenant) -> None:
    row = ToolkitCall.objects.create(
        tenant=tenant, toolkit_name="stripe", action_name="refund", status="refused", requested_at=timezone.now()
    )
    path = "/admin/connectors/toolkitcall"

    assert b"refund" in operator.get(f"{path}/").content
    assert operator.get(f"{path}/{row.pk}/change/").status_code == 200
    assert operator.post(f"{path}/{row.pk}/change/", {"status": "success"}).status_code == 403
    assert operator.get("/admin/connectors/toolkitbreaker/").status_code == 200
