"""Every sweep is down: the workers say so (EXECUTION-SEMANTICS 14)."""

from __future__ import annotations

import logging
import threading

import pytest
from django.db import connection

from executions import nodes
from executions.models import Node

pytestmark = pytest.mark.django_db


def seen(seconds_ago: int) -> None:
    nodes.beat("sweep@here:1", role="sweep", slots=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executions_node SET seen_at = clock_timestamp() - make_interval(secs => %s)", (seconds_ago,)
        )


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "executions.nodes"]


@pytest.mark.parametrize(("seconds_ago", "is_late"), [(0, False), (5, False), (11, True), (600, True)])
def test_a_sweep_is_missed_after_ten_seconds(seconds_ago: int, is_late: bool, caplog: pytest.LogCaptureFixture) -> None:
    seen(seconds_ago)

    assert nodes.SweepWatch().look() is is_late
    assert alarms(caplog) == (["alarm.sweep_late"] if is_late else [])


def test_one_sweep_of_several_is_enough() -> None:
    seen(600)
    nodes.beat("sweep@there:1", role="sweep", slots=0)

    assert nodes.SweepWatch().look() is False


def test_the_alarm_is_raised_once_a_while_and_its_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    watch = nodes.SweepWatch()
    seen(11)
    watch.look()
    watch.look()
    assert alarms(caplog) == ["alarm.sweep_late"]

    seen(0)
    watch.look()
    watch.look()
    assert alarms(caplog) == ["alarm.sweep_late", "sweep.is_back"]


def test_a_worker_that_is_older_than_ten_seconds_misses_a_sweep_that_never_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = nodes.SweepWatch()
    assert watch.look() is False

    monkeypatch.setattr(watch, "_began", watch._began - nodes.SWEEP_LATE.total_seconds() - 1)
    assert watch.look() is True


@pytest.mark.django_db(transaction=True)
def test_a_workers_heartbeat_looks(caplog: pytest.LogCaptureFixture) -> None:
    seen(600)
    stop = threading.Event()
    stop.set()  # one beat, then goodbye
    with caplog.at_level(logging.ERROR):
        nodes.keep_beating("work@here:2", slots=1, stop=stop).join(10)

    assert alarms(caplog) == ["alarm.sweep_late"]
    assert not Node.objects.filter(role="work").exists()
