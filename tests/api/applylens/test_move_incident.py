"""POST /api/incidents/{id}/acknowledge, mitigate, resolve, close, assign; PATCH /api/incidents/{id}."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant, User
from incidents.models import Breach, Incident
from tests.api.applylens.calls import ENGINEER, WAYS, Api, caller_of, make, moved, read, refused, told

ALLOWED = {
    "acknowledge": {"open"},
    "mitigate": {"open", "acknowledged"},
    "resolve": {"acknowledged", "mitigated"},
    "close": {"resolved", "mitigated"},
}
TARGETS = {"acknowledge": "acknowledged", "mitigate": "mitigated", "resolve": "resolved", "close": "closed"}


@pytest.mark.parametrize("verb", ALLOWED)
@pytest.mark.parametrize("status", WAYS)
def test_each_verb_from_each_state(api: Api, tenant: Tenant, verb: str, status: str) -> None:
    incident = moved(tenant, status)
    before = len(told(tenant, "incident_updated"))

    response = api.post(f"/api/incidents/{incident.pk}/{verb}")

    after = Incident.objects.get(pk=incident.pk)
    if status not in ALLOWED[verb]:
        refused(response, 400, "bad_request")
        assert (after.status, after.updated_at) == (status, incident.updated_at)
        assert len(told(tenant, "incident_updated")) == before
        return
    found, target = read(response), TARGETS[verb]
    by = {"acknowledged_by"} if verb == "acknowledge" else set()
    assert found.keys() == {"id", "status", f"{target}_at", "updated_at"} | by
    assert (found["id"], found["status"], after.status) == (incident.pk, target, target)
    assert found[f"{target}_at"] is not None
    assert told(tenant, "incident_updated")[before:] == [
        {"id": incident.pk, "status": target, "acknowledged_by": after.acknowledged_by, "change": target}
    ]


def test_an_acknowledgement_is_kept(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=2)
    created_at = read(api.get(f"/api/incidents/{incident.pk}"))["created_at"]

    found = read(
        api.post(
            f"/api/incidents/{incident.pk}/acknowledge",
            {"acknowledged_by": ENGINEER, "notes": "Investigating root cause"},
        )
    )

    assert (found["status"], found["acknowledged_by"]) == ("acknowledged", ENGINEER)
    shown = read(api.get(f"/api/incidents/{incident.pk}"))
    assert (shown["acknowledged_at"], shown["updated_at"]) == (found["acknowledged_at"], found["updated_at"])
    assert shown["created_at"] == created_at
    assert shown["metadata"]["ack_notes"] == "Investigating root cause"
    [note] = shown["metadata"]["notes"]
    assert (note["verb"], note["text"]) == ("acknowledge", "Investigating root cause")
    assert note["by"].endswith("@example.org")


def test_who_acknowledges_is_the_caller_unless_another_is_named(api: Api, tenant: Tenant) -> None:
    found = read(api.post(f"/api/incidents/{make(tenant).pk}/acknowledge", {}))

    assert found["acknowledged_by"].startswith("analyst-")
    assert found["acknowledged_by"].endswith("@example.org")


@pytest.mark.parametrize("by", ["", " ", 5, None, [], "x" * 129])
def test_an_acknowledger_that_is_no_name_is_refused(api: Api, tenant: Tenant, by: Any) -> None:
    incident = make(tenant)

    error = refused(
        api.post(f"/api/incidents/{incident.pk}/acknowledge", {"acknowledged_by": by}), 422, "validation_error"
    )

    assert error["details"].keys() == {"acknowledged_by"}
    assert Incident.objects.get(pk=incident.pk).status == "open"


def test_notes_are_kept_whole_up_to_their_length(api: Api, tenant: Tenant) -> None:
    incident, text = moved(tenant, "mitigated"), "n" * 9_999 + "\n"

    error = refused(api.post(f"/api/incidents/{incident.pk}/resolve", {"notes": text + "n"}), 422, "validation_error")
    assert error["details"].keys() == {"notes"}

    read(api.post(f"/api/incidents/{incident.pk}/resolve", {"notes": text}))
    read(api.post(f"/api/incidents/{incident.pk}/close", {"notes": "closing"}))
    metadata = read(api.get(f"/api/incidents/{incident.pk}"))["metadata"]
    assert (metadata["resolution_notes"], metadata["close_notes"]) == (text, "closing")
    assert "mitigation_notes" not in metadata
    assert [note["verb"] for note in metadata["notes"]] == ["mitigate", "resolve", "close"]


@pytest.mark.parametrize("verb", [*ALLOWED, "assign"])
def test_what_is_not_there_or_another_tenants_is_a_404(api: Api, stranger: Api, tenant: Tenant, verb: str) -> None:
    incident = make(tenant)
    body = {"assigned_to": None} if verb == "assign" else {}

    missing = api.post(f"/api/incidents/999999/{verb}", body)
    foreign = stranger.post(f"/api/incidents/{incident.pk}/{verb}", body)

    refused(missing, 404, "not_found")
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert Incident.objects.get(pk=incident.pk).status == "open"


@pytest.mark.parametrize("verb", [*ALLOWED, "assign"])
def test_a_viewer_moves_nothing(viewer: Api, tenant: Tenant, verb: str) -> None:
    refused(viewer.post(f"/api/incidents/{make(tenant).pk}/{verb}", {}), 403, "forbidden")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"{}{}"])
def test_what_is_no_object_is_a_400(api: Api, tenant: Tenant, body: bytes) -> None:
    incident = make(tenant)

    refused(api.send("POST", f"/api/incidents/{incident.pk}/acknowledge", body), 400, "bad_request")
    assert Incident.objects.get(pk=incident.pk).status == "open"


def test_a_field_that_is_not_known_is_refused(api: Api, tenant: Tenant) -> None:
    response = api.post(f"/api/incidents/{make(tenant).pk}/mitigate", {"acknowledged_by": "x"})

    assert refused(response, 422, "validation_error")["details"].keys() == {"acknowledged_by"}


# --- the clock of the severity


def test_a_late_acknowledgement_is_stored_as_a_breach(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=6)

    read(api.post(f"/api/incidents/{incident.pk}/acknowledge"))

    breach = Breach.objects.get(incident=incident)
    assert (breach.phase, breach.severity, breach.tenant) == ("acknowledge", "sev1", tenant)
    assert (breach.due_at - incident.created_at).total_seconds() == 300
    assert breach.breached_at == Incident.objects.get(pk=incident.pk).acknowledged_at


def test_one_in_time_is_none(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=4)

    read(api.post(f"/api/incidents/{incident.pk}/acknowledge"))

    assert not Breach.objects.filter(incident=incident).exists()


# --- assign


def test_an_incident_is_given_to_a_person_and_taken_back(api: Api, tenant: Tenant, engineer: User) -> None:
    incident = make(tenant)

    found = read(api.post(f"/api/incidents/{incident.pk}/assign", {"assigned_to": ENGINEER}))

    assert found.keys() == {"id", "status", "assigned_to", "updated_at"}
    assert (found["assigned_to"], found["status"]) == (ENGINEER, "open")
    assert read(api.get(f"/api/incidents/{incident.pk}"))["assigned_to"] == ENGINEER
    assert read(api.post(f"/api/incidents/{incident.pk}/assign", {"assigned_to": None}))["assigned_to"] is None
    assert [event["change"] for event in told(tenant, "incident_updated")] == ["assigned", "assigned"]


@pytest.mark.parametrize("body", [{}, {"assigned_to": "nobody@example.org"}, {"assigned_to": ""}, {"assigned_to": 5}])
def test_only_people_of_the_tenant_are_assigned(api: Api, tenant: Tenant, body: dict[str, Any]) -> None:
    response = api.post(f"/api/incidents/{make(tenant).pk}/assign", body)

    assert refused(response, 422, "validation_error")["details"].keys() == {"assigned_to"}


def test_who_is_no_longer_active_is_not_assigned(api: Api, tenant: Tenant, engineer: User) -> None:
    engineer.is_active = False
    engineer.save()

    refused(api.post(f"/api/incidents/{make(tenant).pk}/assign", {"assigned_to": ENGINEER}), 422, "validation_error")


def test_a_closed_incident_is_not_assigned(api: Api, tenant: Tenant) -> None:
    refused(api.post(f"/api/incidents/{moved(tenant, 'closed').pk}/assign", {"assigned_to": None}), 400, "bad_request")


# --- PATCH


def test_an_edit_changes_what_it_names_and_is_told_once(api: Api, tenant: Tenant, engineer: User) -> None:
    incident = make(tenant, metadata={"agent": "inbox", "a": {"b": 1}})
    body = {
        "summary": "new", "severity": "sev2", "assigned_to": ENGINEER, "playbooks": ["clear_cache"],
        "metadata": {"a": {"c": 2}, "d": 3},
    }  # fmt: skip

    found = read(api.send("PATCH", f"/api/incidents/{incident.pk}", body))

    assert (found["summary"], found["severity"], found["assigned_to"]) == ("new", "sev2", ENGINEER)
    assert found["playbooks"] == ["clear_cache"]
    assert {"agent": "inbox", "a": {"c": 2}, "d": 3}.items() <= found["metadata"].items()
    assert read(api.get(f"/api/incidents/{incident.pk}")) == found
    assert told(tenant, "incident_updated") == [
        {"id": incident.pk, "status": "open", "acknowledged_by": None, "change": "edited"}
    ]


def test_an_edit_of_nothing_changes_nothing(api: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    before = read(api.get(f"/api/incidents/{incident.pk}"))

    assert read(api.send("PATCH", f"/api/incidents/{incident.pk}", {})) == before
    assert told(tenant, "incident_updated") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "closed"}, "status"),
        ({"summary": ""}, "summary"),
        ({"summary": None}, "summary"),
        ({"severity": "sev9"}, "severity"),
        ({"playbooks": "x"}, "playbooks"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"action_history": [1]}}, "metadata"),
        ({"assigned_to": "nobody@example.org"}, "assigned_to"),
        ({"key": "INV_other"}, "key"),
    ],
)
def test_an_edit_that_is_wrong_is_refused(api: Api, tenant: Tenant, body: dict[str, Any], field: str) -> None:
    incident = make(tenant)

    error = refused(api.send("PATCH", f"/api/incidents/{incident.pk}", body), 422, "validation_error")

    assert error["details"].keys() == {field}
    assert Incident.objects.get(pk=incident.pk).updated_at == incident.updated_at


def test_a_closed_incident_is_not_edited(api: Api, tenant: Tenant) -> None:
    response = api.send("PATCH", f"/api/incidents/{moved(tenant, 'closed').pk}", {"summary": "x"})

    refused(response, 400, "bad_request")


def test_an_edit_is_for_those_who_may_write(viewer: Api, stranger: Api, tenant: Tenant) -> None:
    incident = make(tenant)

    refused(viewer.send("PATCH", f"/api/incidents/{incident.pk}", {"summary": "x"}), 403, "forbidden")
    refused(stranger.send("PATCH", f"/api/incidents/{incident.pk}", {"summary": "x"}), 404, "not_found")
    assert Incident.objects.get(pk=incident.pk).summary != "x"


def test_a_new_severity_has_a_new_clock(api: Api, tenant: Tenant) -> None:
    incident = make(tenant, severity="sev4", minutes_ago=10)
    assert not Incident.objects.filter(next_due_at__isnull=False).exists()

    read(api.send("PATCH", f"/api/incidents/{incident.pk}", {"severity": "sev1"}))

    assert Incident.objects.get(next_due_at__lt=timezone.now()) == incident
    assert not Breach.objects.exists()


def test_who_may_do_all_may_do_this(tenant: Tenant) -> None:
    read(caller_of(tenant).post(f"/api/incidents/{make(tenant).pk}/acknowledge"))
