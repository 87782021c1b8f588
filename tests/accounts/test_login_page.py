"""What the admin's pages tell a browser, so that its forms are taken."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts import services
from accounts.models import Tenant
from tests.accounts import NOON, PASSWORD

EMAIL = "owner@acme.example"
ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture
def browser(tenant: Tenant) -> Client:
    services.create_user(tenant=tenant, email=EMAIL, password=PASSWORD, role="tenant_admin", is_staff=True, now=NOON)
    return Client(enforce_csrf_checks=True, headers={"Host": "127.0.0.1:8000"})


def _log_in(browser: Client, *, origin: str) -> int:
    page = browser.get("/admin/login/")
    body = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": page.context["csrf_token"]}
    return browser.post("/admin/login/?next=/admin/", body, headers={"Origin": origin}).status_code


def test_a_page_lets_its_own_forms_name_their_origin(browser: Client) -> None:
    assert browser.get("/admin/login/")["Referrer-Policy"] == "same-origin"
    assert browser.get("/api/playbooks")["Referrer-Policy"] == "no-referrer"


def test_the_login_form_of_our_own_page_is_taken(browser: Client) -> None:
    assert _log_in(browser, origin=ORIGIN) == 302


@pytest.mark.parametrize("origin", ["null", "https://elsewhere.example"])
def test_a_login_form_from_elsewhere_is_refused(browser: Client, origin: str) -> None:
    assert _log_in(browser, origin=origin) == 403
