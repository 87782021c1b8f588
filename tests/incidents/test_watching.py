"""The watcher pulls signals, and the sweep's process does all of this by itself."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.utils import timezone

from accounts.models import Tenant
from incidents import watching
from incidents.models import Breach, Incident, IncidentEvent
from incidents.outside_models import SignalSource
from incidents.pulling import pull_due
from incidents.services import set_outside_token
from tests.api.applylens.calls import make
from tests.connectors.servers import Received, Reply, Server, json_reply, serving
from tests.flows.starting import make_tenant

LOOPBACK = ["127.0.0.0/8"]
SIGNALS = [
    {"type": "invariant", "id": "freshness", "priority": "high"},
    {"type": "planner", "version": "v2", "metric": "latency", "current": 2, "baseline": 1},
]


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = LOOPBACK


def source(tenant: Tenant, server: Server, **more: Any) -> SignalSource:
    known = {"name": "detector", "url": f"{server.url}/signals", "allow_networks": LOOPBACK, "period_seconds": 60}
    return SignalSource.objects.create(tenant=tenant, **(known | more))


def answers(value: Any, status: int = 200) -> Any:
    def handle(_: Received) -> Reply:
        return json_reply(value, status)

    return serving(handle)


def test_signals_are_pulled_in_their_time(tenant: Tenant) -> None:
    with answers({"signals": SIGNALS}) as server:
        row = source(tenant, server)
        set_outside_token(row=row, token="secret-of-the-source")
        assert (pull_due(), pull_due()) == (2, 0)
        SignalSource.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        assert pull_due() == 0

    assert [received.headers["authorization"] for received in server.requests] == ["Bearer secret-of-the-source"] * 2
    made = Incident.objects.filter(tenant=tenant).order_by("key")
    assert [incident.key for incident in made] == ["INV_freshness", "PLANNER_REG_v2"]
    assert made[0].metadata == {"auto_created": True, "source": "watcher"}
    row.refresh_from_db()
    assert (row.last_error, row.last_pulled_at is not None) == ("", True)
    assert row.next_at is not None
    assert row.next_at > timezone.now() + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("value", "status", "why"),
    [
        ({"signals": "x"}, 200, "signals"),
        ([], 200, "signals"),
        ({"signals": [{}] * 1001}, 200, "1000"),
        ({}, 500, "status 500"),
        ({"signals": [SIGNALS[0], {"type": "weather"}]}, 200, "the first is number 1: type"),
    ],
)
def test_what_is_wrong_with_a_source_is_shown_on_it(tenant: Tenant, value: Any, status: int, why: str) -> None:
    with answers(value, status) as server:
        row = source(tenant, server)
        pull_due()

    row.refresh_from_db()
    assert why in row.last_error


def test_a_source_that_is_off_or_fails_keeps_no_other_from_being_asked(tenant: Tenant) -> None:
    with answers({"signals": SIGNALS[:1]}) as server:
        source(tenant, server, name="off", is_enabled=False)
        source(tenant, server, name="gone", url="http://127.0.0.1:9/")
        source(make_tenant(), server)
        assert pull_due() == 1
    assert len(server.requests) == 1


def test_the_sweep_command_is_the_one_that_watches() -> None:
    assert get_commands()["sweep"] == "incidents"
    command = load_command_class("incidents", "sweep")
    assert "Watches over incidents" in command.help


@pytest.mark.django_db(transaction=True)
def test_the_watch_does_it_all_by_itself_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tenant's clock, source and old events, each seen to by its own thread; what breaks goes on."""
    tenant = make_tenant()
    monkeypatch.setattr(watching, "PASSES", {name: (act, 0.05) for name, (act, _) in watching.PASSES.items()})
    broken: list[bool] = []

    def breaks() -> None:
        broken.append(True)
        raise RuntimeError("on purpose")

    watching.PASSES["broken"] = (breaks, 0.05)
    late = make(tenant, minutes_ago=6)
    IncidentEvent.objects.update(at=timezone.now() - timedelta(hours=3))
    with answers({"signals": SIGNALS}) as server:
        source(tenant, server)
        watch = watching.Watch()
        watch.start()
        try:
            until = time.monotonic() + 20
            while not (
                Breach.objects.filter(incident=late).exists()
                and Incident.objects.filter(tenant=tenant).count() == 3
                and not IncidentEvent.objects.filter(tenant=tenant, number=1).exists()
                and len(broken) > 1
            ):
                assert time.monotonic() < until
                time.sleep(0.05)
        finally:
            watch.end()
    assert not any(thread.is_alive() for thread in watch._threads)
