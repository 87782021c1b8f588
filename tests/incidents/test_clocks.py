"""Steps that do not come at all are noted by the watch."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from accounts.models import Tenant
from incidents.models import Breach, Incident
from incidents.services import move_incident
from incidents.services.clocks import note_late_incidents
from tests.api.applylens.calls import DETECTOR, make, moved


def phases(incident: Incident) -> list[str]:
    return list(Breach.objects.filter(incident=incident).order_by("due_at").values_list("phase", flat=True))


def test_a_missing_step_is_noted_once_when_its_time_is_over(tenant: Tenant) -> None:
    late, early = make(tenant, "INV_late", minutes_ago=6), make(tenant, "INV_early", minutes_ago=4)

    assert note_late_incidents() == 1
    assert note_late_incidents() == 0

    assert (phases(late), phases(early)) == (["acknowledge"], [])
    late.refresh_from_db()
    assert late.next_due_at == late.created_at + timedelta(minutes=30)


def test_all_that_is_missing_is_noted_at_once(tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=5 * 60)

    note_late_incidents()

    assert phases(incident) == ["acknowledge", "mitigate", "resolve"]
    incident.refresh_from_db()
    assert incident.next_due_at is None


def test_what_was_noted_stays_as_it_was_when_the_step_comes_after_all(tenant: Tenant) -> None:
    incident = make(tenant, minutes_ago=6)
    note_late_incidents()
    [before] = Breach.objects.filter(incident=incident)

    move_incident(tenant=tenant, number=incident.pk, verb="acknowledge", actor=DETECTOR, now=timezone.now())

    [after] = Breach.objects.filter(incident=incident)
    assert (after.pk, after.breached_at) == (before.pk, before.breached_at)


def test_what_is_over_and_what_has_no_clock_is_not_looked_at(tenant: Tenant) -> None:
    moved(tenant, "resolved", minutes_ago=600)
    moved(tenant, "closed", minutes_ago=600)
    make(tenant, "INV_low", severity="sev4", minutes_ago=60_000)

    assert note_late_incidents() == 0
    assert not Breach.objects.exists()


def test_a_breach_has_the_severity_of_its_moment(tenant: Tenant) -> None:
    incident = make(tenant, severity="sev3", minutes_ago=20)
    assert note_late_incidents() == 0
    Incident.objects.filter(pk=incident.pk).update(severity="sev2", next_due_at=incident.created_at)

    assert note_late_incidents() == 1
    assert Breach.objects.get(incident=incident).severity == "sev2"
