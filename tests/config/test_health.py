"""The probes: each check falls when its part does, and rises again with it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from config import canary, health
from config.home import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_queue(settings: Any) -> Iterator[None]:
    """So that no worker of another test hears these doorbells."""
    settings.CELERY_TASK_DEFAULT_QUEUE = f"test-{secrets.token_hex(4)}"
    yield
    canary.redis().delete(*(f"{settings.SALLYPORT_REDIS_PREFIX}canary:{name}" for name in ("rung", "answer")))


@contextmanager
def a_worker() -> Iterator[None]:
    """Start a real worker on the queue of this test, and wait until it hears."""
    environ = {
        **os.environ,
        "DATABASE_URL": _test_database_url(),
        "SALLYPORT_NO_BOOTSTRAP": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "--pool=threads", "-c", "1"]
    process = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle", "-l", "INFO", "-Q", settings.CELERY_TASK_DEFAULT_QUEUE],
        cwd=ROOT,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if " ready." in line:
                break
        else:
            pytest.fail("".join(heard))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _test_database_url() -> str:
    found = connection.settings_dict
    host, port = str(found["HOST"]), str(found["PORT"] or "5432")
    if host.startswith("/"):
        return f"postgresql://{found['USER']}@/{found['NAME']}?host={host}"
    password = f":{found['PASSWORD']}" if found["PASSWORD"] else ""
    return f"postgresql://{found['USER']}{password}@{host}:{port}/{found['NAME']}"


def ready(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/health/ready")
    return answer.status_code, json.loads(answer.content)["checks"]


def beat_of_a_sweep(*, seconds_ago: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO executions_node (name, role, pid, slots, started_at, seen_at)"
            " VALUES ('sweep@here:1', 'sweep', 1, 0, now(), clock_timestamp() - make_interval(secs => %s))",
            [seconds_ago],
        )


def test_a_process_that_answers_is_live(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


def test_probes_are_only_read(client: Client) -> None:
    assert client.post("/health/ready").status_code == 405


def test_without_sweep_and_workers_it_is_not_ready_and_says_what_is_missing(client: Client) -> None:
    status, checks = ready(client)
    assert status == 503
    assert {name for name, check in checks.items() if not check["ok"]} == {"sweep", "canary"}
    assert "manage.py sweep" in checks["sweep"]["message"]
    assert "worker" in checks["canary"]["message"]


def test_with_a_sweep_and_a_worker_it_is_ready(client: Client) -> None:
    beat_of_a_sweep(seconds_ago=0)
    with a_worker():
        status, checks = ready(client)
    assert status == 200, checks
    assert all(check["ok"] for check in checks.values())


def test_a_sweep_that_has_gone_quiet_is_missed(client: Client) -> None:
    beat_of_a_sweep(seconds_ago=60)
    _, checks = ready(client)
    assert (checks["sweep"]["ok"], "was last seen 60 s ago" in checks["sweep"]["message"]) == (False, True)


def test_the_doorbell_is_rung_once_however_often_one_looks(client: Client) -> None:
    for _ in range(3):
        ready(client)
    queue = f"{settings.SALLYPORT_REDIS_PREFIX}{settings.CELERY_TASK_DEFAULT_QUEUE}"
    assert canary.redis().llen(queue) == 1


def test_every_look_sees_the_one_answer(client: Client) -> None:
    canary.record_answer(rung_at=1_700_000_000.0)
    for _ in range(2):
        _, checks = ready(client)
        assert checks["canary"]["ok"]


def test_what_is_wrong_inside_is_not_told_to_strangers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise ConnectionError("password authentication failed for db.internal")

    monkeypatch.setitem(health.CHECKS, "database", broken)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert b"db.internal" not in answer.content
