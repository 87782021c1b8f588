"""What the project ships."""

from __future__ import annotations

from datetime import UTC, datetime

from accounts.models import Tenant
from config import samples
from playbooks import selectors
from playbooks.models import Playbook, PlaybookVersion

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_every_sample_is_stored_and_again_changes_nothing(tenant: Tenant) -> None:
    first = samples.load(tenant, now=NOON)
    counted = (Playbook.objects.count(), PlaybookVersion.objects.count())

    samples.load(tenant, now=NOON)
    assert (Playbook.objects.count(), PlaybookVersion.objects.count()) == counted == (len(first), len(first))
    assert len(first) >= 4


def test_the_documented_playbook_and_asset_are_there(tenant: Tenant) -> None:
    samples.load(tenant, now=NOON)

    playbook = selectors.get_by_slug(tenant, "critical-vuln-response")
    assert (playbook.name, playbook.version_label, playbook.step_count) == (
        "Critical Vulnerability Response",
        "1.2.0",
        5,
    )
    assert playbook.trigger == {"event": "finding.new", "conditions": {"severity": "critical"}}
    assert selectors.get_asset(tenant, "a-1001").data["name"]
    assert selectors.get_by_slug(tenant, "contain-address").dialect == "cacao"
