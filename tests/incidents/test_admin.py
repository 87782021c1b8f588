"""Incidents in the admin: to be looked at by their own tenant; trackers and sources to be set up."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_user
from core.keyring import keyring
from core.secrets import open_sealed
from incidents.models import Incident
from incidents.outside_models import IssueTracker, SignalSource
from incidents.services import move_incident
from incidents.services.issues import token_context
from tests.api.applylens.calls import DETECTOR, make
from tests.flows.starting import make_tenant

PAGES = ["incident", "breach", "actionrun", "incidentevent", "issuetracker", "signalsource", "issuetask"]


def browser_of(tenant: Tenant) -> Client:
    person = create_user(
        tenant=tenant, email=f"admin@{tenant.slug}.example", password=None, role="tenant_admin", is_staff=True,
        now=timezone.now(),
    )  # fmt: skip
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def browser(tenant: Tenant) -> Client:
    return browser_of(tenant)


def errors(answer: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', answer.text, re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_every_list_opens(browser: Client, tenant: Tenant, page: str) -> None:
    make(tenant)

    assert browser.get(f"/admin/incidents/{page}/").status_code == 200
    if page not in ("issuetracker", "issuetask"):
        assert browser.get(f"/admin/incidents/{page}/?q=freshness").status_code == 200


def test_an_incident_is_shown_with_its_history_and_not_edited(browser: Client, tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=10, details={"a": "<script>"})
    move_incident(
        tenant=tenant, number=incident.pk, verb="acknowledge", actor=DETECTOR, now=timezone.now(), notes="looking at it"
    )
    url = f"/admin/incidents/incident/{incident.pk}/change/"

    page = browser.get(url)

    assert "looking at it" in page.text
    assert "<script>&quot;" not in page.text
    assert "acknowledge" in page.text
    assert browser.post(url, {"summary": "x"}).status_code == 403
    assert browser.get("/admin/incidents/incident/add/").status_code == 403
    assert browser.post(f"/admin/incidents/incident/{incident.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Incident.objects.get(pk=incident.pk).summary == incident.summary


def test_another_tenants_incidents_are_not_there(browser: Client, tenant: Tenant) -> None:
    foreign = make(make_tenant(), summary="of somebody else")
    make(tenant, summary="of ours")

    page = browser.get("/admin/incidents/incident/")

    assert "of ours" in page.text
    assert "of somebody else" not in page.text
    assert browser.get(f"/admin/incidents/incident/{foreign.pk}/change/").status_code == 302


def test_a_tracker_is_set_up_and_its_token_sealed(browser: Client, tenant: Tenant) -> None:
    form = {
        "tenant": str(tenant.pk), "provider": "github", "config": '{"owner": "org", "repo": "repo"}',
        "allow_networks": "[]", "is_enabled": "on", "new_token": "a-token-of-twenty-octets",
    }  # fmt: skip

    answer = browser.post("/admin/incidents/issuetracker/add/", form)

    assert answer.status_code == 302, errors(answer)
    row = IssueTracker.objects.get(tenant=tenant)
    opened = open_sealed(row.sealed_token, context=token_context(row), keyring=keyring())
    assert opened.reveal() == form["new_token"]
    url = f"/admin/incidents/issuetracker/{row.pk}/change/"
    assert form["new_token"] not in browser.get(url).text
    browser.post(url, form | {"new_token": "", "config": '{"owner": "other"}'})
    row.refresh_from_db()
    assert row.config == {"owner": "other"}
    assert open_sealed(row.sealed_token, context=token_context(row), keyring=keyring()).reveal() == form["new_token"]


@pytest.mark.parametrize("config", ['{"token": "x"}', "[]", '{"api_token": "x"}'])
def test_a_token_among_the_settings_is_refused(browser: Client, tenant: Tenant, config: str) -> None:
    form = {"tenant": str(tenant.pk), "provider": "jira", "config": config, "allow_networks": "[]"}

    answer = browser.post("/admin/incidents/issuetracker/add/", form)

    assert answer.status_code == 200
    assert errors(answer)
    assert not IssueTracker.objects.exists()


def test_a_source_is_set_up(browser: Client, tenant: Tenant) -> None:
    form = {
        "tenant": str(tenant.pk), "name": "detector", "url": "https://detector.example/signals",
        "allow_networks": "[]", "period_seconds": "30", "is_enabled": "on",
    }  # fmt: skip

    assert browser.post("/admin/incidents/signalsource/add/", form | {"period_seconds": "0"}).status_code == 200
    answer = browser.post("/admin/incidents/signalsource/add/", form)

    assert answer.status_code == 302, errors(answer)
    assert SignalSource.objects.get().period_seconds == 30
