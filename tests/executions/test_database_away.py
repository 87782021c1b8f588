"""PostgreSQL takes no writes, or no connections (EXECUTION-SEMANTICS 14): told as such, and nothing is half done."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections

from accounts.models import Tenant
from executions.models import Execution, StepRun
from executions.sweeper import Sweeper
from executions.tasks import run_from
from tests.api.s4e.calls import Api, say
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, attempts, one_step, post, run_of, state
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start

pytestmark = pytest.mark.django_db(transaction=True)

ONE = flow(act("a", on_success="end"), end(), first="a")


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    from accounts.services import create_user, issue_api_key

    owner = create_user(tenant=tenant, email="a@example.org", password=None, role="admin", now=NOON)
    _, key = issue_api_key(tenant=tenant, owner=owner, name="k", now=NOON)
    return Api(key)


@contextmanager
def read_only() -> Iterator[None]:
    """As on a standby, or where an operator keeps a database from growing further."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    _say(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    connection.close()
    try:
        yield
    finally:
        _say("SET default_transaction_read_only = off")
        _say(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        connection.close()


def _say(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def unreachable() -> Iterator[None]:
    """Nobody listens where PostgreSQL should be."""
    settings = connections["default"].settings_dict
    host, port = settings["HOST"], settings["PORT"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        connection.close()
        settings["HOST"], settings["PORT"] = "127.0.0.1", str(taken.getsockname()[1])
        try:
            yield
        finally:
            settings["HOST"], settings["PORT"] = host, port
            connection.close()


AWAY = pytest.mark.parametrize("away", [read_only, unreachable])


@AWAY
def test_writes_answer_503_with_retry_after_and_store_nothing(api: Api, away: Any) -> None:
    playbook = api.made(steps=[say("a")])
    execution = api.started(playbook)
    count = Execution.objects.count(), StepRun.objects.count()
    with away():
        answers = [
            api.post(f"/api/playbooks/{playbook}/run", {}),
            api.post(f"/api/playbooks/executions/{execution}/cancel"),
            api.create(name="Another"),
        ]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert (Execution.objects.count(), StepRun.objects.count()) == count
    assert Execution.objects.get().stop_as == ""


def test_reads_answer_while_no_writes_are_taken(api: Api) -> None:
    execution = api.started(api.made(steps=[say("a")]))
    from accounts.models import ApiKey

    ApiKey.objects.update(last_used_at=None)  # its use would be noted now
    with read_only():
        assert api.execution(execution)["status"] == "pending"
        assert api.get("/api/playbooks").status_code == 200


@AWAY
def test_nothing_is_claimed_and_the_task_ends_without_an_error(start: Start, away: Any) -> None:
    execution = start(ONE)
    run = run_of(execution, "start").pk
    with away():
        run_from(run)

    assert run_of(execution, "start").fence == 0
    assert state(execution)[0] == "pending"


@AWAY
def test_a_step_whose_intent_cannot_be_stored_is_not_called(
    start: Start, effects: Server, away: Any, settings: Any
) -> None:
    from core import failpoints

    settings.SALLYPORT_LEASE = timedelta(seconds=1)
    execution = start(one_step(post("p")))
    advance(execution, "start")
    step_run = run_of(execution, "p").pk
    found = away()
    failpoints.install(lambda name: found.__enter__() if name == "before_intent_commit" else None)
    try:
        run_from(step_run)
    finally:
        failpoints.install(None)
        found.__exit__(None, None, None)

    assert effects.requests == []
    assert run_of(execution, "p").status == "running"  # until its lease is over


@AWAY
def test_an_outcome_that_no_database_takes_is_held_for_a_lease_and_then_dropped(
    start: Start, effects: Server, away: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from core import failpoints
    from executions.services.sweeping import sweep_once

    settings.SALLYPORT_LEASE = timedelta(seconds=1)
    execution = start(one_step(post("p")))
    advance(execution, "start")
    found = away()
    failpoints.install(lambda name: found.__enter__() if name == "after_send" else None)
    try:
        with caplog.at_level(logging.WARNING):
            run_from(run_of(execution, "p").pk)
    finally:
        failpoints.install(None)
        found.__exit__(None, None, None)
    assert "commit.in_doubt" in caplog.text
    assert "outcome.dropped" in caplog.text

    # The far side knows the key: the sweep takes the step back, and it is done once.
    pause = threading.Event()
    for _ in range(100):
        if sweep_once():
            break
        pause.wait(0.05)
    run_from(run_of(execution, "p").pk)
    assert state(execution)[0] == "completed"
    assert attempts(execution, "p") == ["lost", "completed"]
    assert [request.headers["idempotency-key"] for request in effects.requests] == [str(run_of(execution, "p").pk)] * 2
    assert effects.state.applied == {str(run_of(execution, "p").pk): 1}
    check_history(execution)


@AWAY
def test_a_sweeper_says_so_and_goes_on_once_the_database_is_back(
    start: Start, away: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executions import sweeper
    from executions.dispatching import dispatch_due

    monkeypatch.setattr(Sweeper, "_listen", lambda _: None)
    execution = start(ONE)
    found, dispatched = Sweeper(), threading.Event()

    def dispatch() -> None:
        if dispatch_due():
            dispatched.set()

    monkeypatch.setattr(sweeper, "dispatch_due", dispatch)
    running = threading.Thread(target=found.run)
    with caplog.at_level(logging.WARNING):
        with away():
            running.start()
            pause = threading.Event()
            for _ in range(200):
                if "sweep.database_away" in caplog.text:
                    break
                pause.wait(0.05)
        connection.close()
        try:
            assert dispatched.wait(20), caplog.text
        finally:
            found.end()
            running.join(20)
    assert run_of(execution, "start").published_at is not None
    assert "sweep.broken" not in caplog.text
