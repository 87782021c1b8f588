"""Storing: three modes of one import, versions, revocation, sealed secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Tenant
from core.secrets import MASK
from playbooks import selectors, services
from playbooks.models import Playbook, PlaybookVersion, Trigger
from playbooks.services import (
    NameTaken,
    NameUnusable,
    PlaybookExists,
    PlaybookRefused,
    VersionConflict,
    archive_playbook,
    set_enabled,
)
from tests.playbooks.documents import AGENT, ID, LOGIN, small, starting, with_password

Import = Callable[..., PlaybookVersion]
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_the_octets_are_stored_as_given(take_in: Import) -> None:
    octets = json.dumps(small(x_unknown={"b": 1.10, "a": [], "é": 2}), indent=3).encode()
    version = take_in(octets)

    assert selectors.document_of(version, reveal=False) == octets
    assert not version.is_sealed


def test_the_columns_say_what_the_document_says(take_in: Import) -> None:
    document = small(
        description="What it does.",
        labels=["a", "b"],
        playbook_variables={"__version__": {"type": "string", "value": "3.1.4", "constant": True}},
        valid_until="2027-01-01T00:00:00.000Z",
    )
    version = take_in(document)
    playbook = version.playbook

    assert (playbook.name, playbook.slug, playbook.cacao_id) == ("Small Playbook", "small-playbook", ID)
    assert (playbook.description, playbook.tags, playbook.version_label) == ("What it does.", ["a", "b"], "3.1.4")
    assert (playbook.dialect, playbook.step_count) == ("cacao", 1)
    assert (version.number, version.label, version.is_strict) == (1, "2026-01-01T00:00:00.000Z", True)
    assert version.valid_until == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_same_version_again_changes_nothing(take_in: Import) -> None:
    first = take_in(small())
    again = take_in(json.dumps(small(), indent=2).encode())

    assert again.pk == first.pk
    assert PlaybookVersion.objects.count() == 1


def test_new_signatures_of_the_same_version_are_added(take_in: Import) -> None:
    signature = {"type": "jss", "id": "jss--00000000-0000-4000-8000-000000000001", "value": "x"}
    first = take_in(small())
    take_in(small(signatures=[signature]))
    take_in(small(signatures=[signature]))

    first.refresh_from_db()
    assert json.loads(selectors.document_of(first, reveal=True)) == small(signatures=[signature])
    assert PlaybookVersion.objects.count() == 1


def test_the_same_version_with_another_content_is_a_conflict(take_in: Import) -> None:
    take_in(small())

    with pytest.raises(VersionConflict):
        take_in(small(name="Changed"))


def test_the_same_instant_written_otherwise_is_the_same_version(take_in: Import) -> None:
    take_in(small())

    with pytest.raises(VersionConflict):
        take_in(small(modified="2026-01-01T00:00:00.000000Z"))


def test_the_latest_version_is_the_one_modified_last_whatever_the_order_of_import(take_in: Import) -> None:
    late = take_in(small(modified="2026-03-01T00:00:00.000Z", name="Late"))
    early = take_in(small(modified="2026-02-01T00:00:00.000Z", name="Early"))

    playbook = Playbook.objects.get()
    assert selectors.latest_version(playbook).pk == late.pk
    assert (early.number, playbook.name, playbook.slug) == (2, "Late", "late")


def test_a_version_is_found_by_its_modified_as_an_instant(take_in: Import) -> None:
    version = take_in(small())

    assert selectors.get_version(version.playbook, "2026-01-01T00:00:00Z").pk == version.pk
    with pytest.raises(selectors.PlaybookNotFound):
        selectors.get_version(version.playbook, "2026-01-01T00:00:00.001Z")


@pytest.mark.parametrize(
    "change",
    [{"created": "2025-01-01T00:00:00.000Z"}, {"created_by": "identity--00000000-0000-4000-8000-0000000000cc"}],
)
def test_another_origin_is_refused_by_strict_and_noted_by_lenient(take_in: Import, change: dict[str, str]) -> None:
    take_in(small())
    changed = small(modified="2026-02-01T00:00:00.000Z", **change)

    with pytest.raises(PlaybookRefused):
        take_in(changed, level="strict")
    version = take_in(changed)
    assert any(finding["code"] == "version-conflict" for finding in version.findings)


def test_mode_new_refuses_an_id_that_is_stored(take_in: Import, other_tenant: Tenant) -> None:
    take_in(small(), mode="new")

    with pytest.raises(PlaybookExists):
        take_in(small(name="Other"), mode="new")
    assert take_in(small(), mode="new", tenant=other_tenant).tenant == other_tenant


def test_mode_copy_gives_a_new_id_that_names_its_origin(take_in: Import) -> None:
    take_in(small())
    copy = take_in(small(name="Other"), mode="copy")

    document = json.loads(selectors.document_of(copy, reveal=True))
    assert copy.playbook.cacao_id == document["id"] != ID
    assert document["derived_from"] == copy.playbook.derived_from == [ID]


def test_mode_copy_needs_a_free_name(take_in: Import) -> None:
    take_in(small(), mode="copy")

    with pytest.raises(NameTaken):
        take_in(small(id="playbook--00000000-0000-4000-8000-0000000000dd"), mode="copy")
    with pytest.raises(NameUnusable):
        take_in(small(id="playbook--00000000-0000-4000-8000-0000000000ee", name="***"), mode="copy")


def test_elsewhere_a_taken_name_gets_a_number(take_in: Import) -> None:
    slugs = [take_in(small(id=f"playbook--00000000-0000-4000-8000-00000000000{n}")).playbook.slug for n in range(1, 4)]

    assert slugs == ["small-playbook", "small-playbook-2", "small-playbook-3"]


def test_a_playbook_without_a_name_is_taken_and_shown_by_its_id(take_in: Import) -> None:
    document = small()
    del document["name"]

    assert take_in(document).playbook.name == ID


def test_a_document_sent_along_with_its_trigger_is_listed_nowhere(take_in: Import, tenant: Tenant) -> None:
    first, second = (take_in(small(), mode="new", listed=False) for _ in range(2))

    assert first.playbook_id != second.playbook_id
    assert not selectors.list_playbooks(tenant).exists()


def test_what_was_refused_is_not_stored(take_in: Import) -> None:
    with pytest.raises(PlaybookRefused) as refused:
        take_in(small(workflow_start="start--00000000-0000-4000-8000-0000000000ff"))

    assert refused.value.fields
    assert not Playbook.objects.exists()


def test_revoking_one_version_revokes_all_and_switches_triggers_off(take_in: Import, tenant: Tenant) -> None:
    first = take_in(small())
    Trigger.objects.create(tenant=tenant, playbook=first.playbook, event="finding.new")
    take_in(small(modified="2026-02-01T00:00:00.000Z", revoked=True))
    later = take_in(small(modified="2026-03-01T00:00:00.000Z"))

    assert set(PlaybookVersion.objects.values_list("is_revoked", flat=True)) == {True}
    assert not selectors.list_triggers(tenant, "finding.new").exists()
    assert later.number == 3


def test_an_archived_playbook_gives_its_id_and_name_back(take_in: Import, tenant: Tenant) -> None:
    archive_playbook(playbook=take_in(small()).playbook, now=NOON)

    assert take_in(small(), mode="copy").playbook.cacao_id == ID
    assert selectors.list_playbooks(tenant).count() == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("document", b"{}"), ("workflow", "{}"), ("label", "x"), ("jcs_digest", "0"), ("is_sealed", True), ("number", 9)],
)
def test_the_database_refuses_to_change_a_version(take_in: Import, column: str, value: Any) -> None:
    version = take_in(small())

    with pytest.raises(IntegrityError), transaction.atomic():
        PlaybookVersion.objects.filter(pk=version.pk).update(**{column: value})
    PlaybookVersion.objects.filter(pk=version.pk).update(is_revoked=True)


def test_literal_secrets_are_sealed_masked_and_given_to_connectors(take_in: Import) -> None:
    version = take_in(with_password("correct horse battery staple"))

    assert version.is_sealed
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v::text FROM playbooks_playbookversion v UNION ALL SELECT p::text FROM playbooks_playbook p"
        )
        rows = "".join(row[0] for row in cursor.fetchall())
    assert "battery" not in rows
    assert b"battery".hex() not in rows
    masked = json.loads(selectors.document_of(version, reveal=False))
    assert masked["authentication_info_definitions"][LOGIN]["password"] == MASK
    assert json.loads(selectors.document_of(version, reveal=True)) == with_password("correct horse battery staple")
    secrets = selectors.literal_secrets_of(version)
    assert {name: value.reveal() for name, value in secrets[LOGIN].items()} == {
        "password": "correct horse battery staple"
    }
    assert str(secrets[LOGIN]["password"]) == MASK


def test_a_sealed_document_does_not_open_in_another_row(take_in: Import) -> None:
    from core.secrets import SecretUnreadable

    version = take_in(with_password())
    stolen = PlaybookVersion(pk=Playbook.objects.get().pk, tenant_id=version.tenant_id, is_sealed=True)
    stolen.document = version.document

    with pytest.raises(SecretUnreadable):
        selectors.document_of(stolen, reveal=True)


def test_the_workflow_comes_back_as_it_was_compiled_in_the_order_of_the_document(take_in: Import) -> None:
    version = take_in(small())
    selectors._workflows.forget(version.pk)
    workflow = selectors.workflow_of(version)

    assert list(workflow.steps) == list(small()["workflow"])
    assert selectors.workflow_of(version) is workflow
    assert workflow.agents[AGENT].name == "demo"


def test_the_catalogue_knows_what_starts_what(take_in: Import, tenant: Tenant) -> None:
    other = "playbook--00000000-0000-4000-8000-0000000000dd"
    take_in(small())
    take_in(starting(ID, id=other, name="Parent"))

    known, children = selectors.catalogue_facts(tenant)
    assert known == {ID, other}
    assert children == {other: frozenset({ID})}


def test_a_playbook_that_leads_back_to_itself_is_refused(take_in: Import) -> None:
    other = "playbook--00000000-0000-4000-8000-0000000000dd"
    take_in(small())
    take_in(starting(ID, id=other, name="Parent"))

    with pytest.raises(PlaybookRefused):
        take_in(starting(other, modified="2026-02-01T00:00:00.000Z"))


def test_disabled_playbooks_answer_to_no_event(take_in: Import, tenant: Tenant) -> None:
    playbook = take_in(small()).playbook
    Trigger.objects.create(tenant=tenant, playbook=playbook, event="finding.new")
    assert selectors.list_triggers(tenant, "finding.new").count() == 1

    set_enabled(playbook=playbook, enabled=False, now=NOON)
    assert not selectors.list_triggers(tenant, "finding.new").exists()


def test_assets_are_of_one_tenant(tenant: Tenant, other_tenant: Tenant) -> None:
    services.put_asset(tenant=tenant, reference="a-1", data={"name": "one"})
    services.put_asset(tenant=tenant, reference="a-1", data={"name": "two"})

    assert selectors.get_asset(tenant, "a-1").data == {"name": "two"}
    with pytest.raises(selectors.AssetNotFound):
        selectors.get_asset(other_tenant, "a-1")


@pytest.mark.parametrize("text", ["%", "_", "'", "\\"])
def test_a_search_takes_text_literally(take_in: Import, tenant: Tenant, text: str) -> None:
    take_in(small())
    take_in(small(id="playbook--00000000-0000-4000-8000-0000000000dd", name=f"x{text}y"))

    assert selectors.search(selectors.list_playbooks(tenant), text).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_imports_at_once_one_version_is_made(transactional_db: None, tenant: Tenant, take_in: Import) -> None:
    gate = threading.Barrier(4)
    outcomes: list[object] = []

    def go() -> None:
        gate.wait()
        try:
            outcomes.append(take_in(small()).pk)
        except PlaybookExists as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert PlaybookVersion.objects.filter(tenant=tenant).count() == 1
    assert len(outcomes) == 4


def test_u0000_in_a_document_is_kept(take_in: Import) -> None:
    octets = json.dumps(small(name="a\x00b", labels=["x\x00"])).encode()
    version = take_in(octets)

    assert selectors.document_of(version, reveal=True) == octets
    assert version.playbook.name == "a\ufffdb"
