"""Playbooks in the admin: found, read, switched on and off; nothing secret is shown and no version is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant
from playbooks.models import Playbook, PlaybookVersion, Trigger
from playbooks.services import create_trigger, put_asset
from tests.playbooks.documents import small, with_password

Import = Callable[..., PlaybookVersion]


@pytest.fixture
def admin(db: None) -> Client:
    owner = get_user_model().objects.create(
        email="owner@example.org", role="admin", is_staff=True, is_superuser=True, created_at=timezone.now()
    )
    client = Client()
    client.force_login(owner)
    return client


def page(admin: Client, model: str, name: str, *arguments: object) -> str:
    response = admin.get(reverse(f"admin:playbooks_{model}_{name}", args=arguments))
    assert response.status_code == 200
    return response.content.decode()


def test_playbooks_are_listed_and_searched(admin: Client, take_in: Import) -> None:
    playbook = take_in(small()).playbook

    assert "Small Playbook" in page(admin, "playbook", "changelist")
    found = admin.get(reverse("admin:playbooks_playbook_changelist"), {"q": "small-play"})
    assert "Small Playbook" in found.content.decode()
    assert playbook.cacao_id in page(admin, "playbook", "change", playbook.pk)


def test_a_document_is_shown_without_its_secrets(admin: Client, take_in: Import) -> None:
    version = take_in(with_password("correct horse battery staple"))

    shown = page(admin, "playbookversion", "change", version.pk)
    assert "workflow_start" in shown
    assert "battery" not in shown


def test_markup_in_a_document_is_text(admin: Client, take_in: Import) -> None:
    version = take_in(small(description="<script>alert(1)</script>"))

    assert "<script>alert(1)" not in page(admin, "playbookversion", "change", version.pk)


def test_a_version_cannot_be_changed_or_deleted(admin: Client, take_in: Import) -> None:
    version = take_in(small())

    assert admin.post(reverse("admin:playbooks_playbookversion_change", args=[version.pk]), {}).status_code == 403
    assert admin.post(reverse("admin:playbooks_playbookversion_delete", args=[version.pk]), {}).status_code == 403
    assert admin.get(reverse("admin:playbooks_playbook_add")).status_code == 403


def test_a_playbook_is_disabled_and_enabled(admin: Client, take_in: Import) -> None:
    playbook = take_in(small()).playbook
    changelist = reverse("admin:playbooks_playbook_changelist")

    admin.post(changelist, {"action": "disable", "_selected_action": [str(playbook.pk)]})
    assert not Playbook.objects.get().is_enabled
    admin.post(changelist, {"action": "enable", "_selected_action": [str(playbook.pk)]})
    assert Playbook.objects.get().is_enabled


def test_triggers_and_assets_have_pages(admin: Client, take_in: Import, tenant: Tenant) -> None:
    trigger = Trigger.objects.create(tenant=tenant, playbook=take_in(small()).playbook, event="finding.new")
    asset = put_asset(tenant=tenant, reference="a-1", data={})

    assert "finding.new" in page(admin, "trigger", "changelist")
    assert "finding.new" in page(admin, "trigger", "change", trigger.pk)
    assert "a-1" in page(admin, "asset", "change", asset.pk)


def test_a_trigger_is_switched_on_and_off_and_counts_from_then(admin: Client, take_in: Import, tenant: Tenant) -> None:
    playbook = take_in(small()).playbook
    trigger = Trigger.objects.create(tenant=tenant, playbook=playbook, event="schedule", cron="0 8 * * *")
    changelist = reverse("admin:playbooks_trigger_changelist")

    def after(act: str) -> tuple[bool, bool]:
        admin.post(changelist, {"action": act, "_selected_action": [str(trigger.pk)]})
        found = Trigger.objects.get()
        return found.is_enabled, found.next_due_at is not None

    admin.post(reverse("admin:playbooks_trigger_change", args=[trigger.pk]), {})
    assert not Trigger.objects.get().is_enabled
    assert after("enable") == (True, True)
    assert after("disable") == (False, False)


def test_the_secret_of_a_trigger_is_not_on_its_page(admin: Client, take_in: Import) -> None:
    made = create_trigger(playbook=take_in(small()).playbook, event="webhook")

    shown = page(admin, "trigger", "change", made.trigger.pk)
    assert made.secret is not None
    assert made.secret not in shown
    assert made.trigger.sealed_secret not in shown
