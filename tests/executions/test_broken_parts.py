"""Redis or PostgreSQL is away, or our own code breaks: nothing is lost, and nobody is told a lie."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import channel_layers
from django.db import OperationalError, connection

from connectors import dispatch
from executions import delivering, nodes, statements, sweeper, tasks
from executions.services import carrying, recording
from executions.services.claiming import claim_step
from executions.services.handing_back import hand_back
from executions.sweeper import Sweeper
from executions.tasks import run_from
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    advance,
    attempts,
    change,
    claim,
    events,
    one_step,
    open_reviews,
    post,
    record,
    run_of,
    state,
)
from tests.executions.histories import check_history
from tests.flows.starting import Start

ONE = flow(act("a", on_success="end"), end(), first="a")


@pytest.fixture
def no_redis(settings: Any) -> None:
    """The channel layer's address leads nowhere."""
    layers = {"default": {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}}
    settings.CHANNEL_LAYERS = layers
    channel_layers.backends = {}


def test_a_start_is_accepted_and_recorded_while_redis_is_away(
    transactional_db: None, no_redis: None, start: Start
) -> None:
    execution = start(ONE)
    advance(execution, "start")

    assert state(execution)[0] == "running"


class Failing:
    """Breaks ``times`` calls of a function, before or after it is done."""

    def __init__(self, real: Callable[..., Any], *, times: int = 1, after: bool = False) -> None:
        self.real, self.times, self.after = real, times, after

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.times > 0:
            self.times -= 1
            if self.after:
                self.real(*args, **kwargs)
            raise OperationalError("the connection was cut")
        return self.real(*args, **kwargs)


def break_commits(monkeypatch: pytest.MonkeyPatch, *, after: bool, times: int = 1) -> None:
    """Cut the connection at the next commits: before they reach the server, or before their answer comes back."""
    wrapper: Any = connection
    monkeypatch.setattr(wrapper, "_commit", Failing(wrapper._commit, times=times, after=after))


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_in_doubt_is_read_back_and_done_once(
    transactional_db: None, start: Start, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    execution = start(ONE)
    work = claim(execution, "start")
    break_commits(monkeypatch, after=after)

    followed = recording.record_outcome(work=work, performed=_done(), carry_on=True)

    assert followed is not None, "the step that follows is claimed by this worker, by either commit"
    assert followed.run.step_id == "a"
    monkeypatch.undo()
    record(followed)
    assert state(execution)[0] == "completed"
    assert attempts(execution, "start") == attempts(execution, "a") == ["completed"]
    assert "note.late" not in events(execution)
    check_history(execution)


def _done() -> Any:
    from tests.executions.acting import DONE

    return DONE


def test_a_database_that_is_away_before_the_call_costs_no_lease(
    transactional_db: None, start: Start, effects: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    monkeypatch.setattr(statements, "note_intent", Failing(statements.note_intent, after=True))
    run_from(run_of(execution, "p").pk)

    found = run_of(execution, "p")
    assert (found.status, found.effect, found.lost_attempts) == ("pending", "none", 0)
    assert effects.requests == []
    run_from(found.pk)
    assert state(execution)[0] == "completed"
    assert len(effects.requests) == 1
    check_history(execution)


def test_a_claim_is_tried_once_more_on_a_new_connection(transactional_db: None, start: Start) -> None:
    execution = start(ONE)
    run = run_of(execution, "start").pk
    connection.connection.close()  # as when PostgreSQL was restarted since this thread's last step
    run_from(run)

    assert run_of(execution, "start").status == "completed"


def test_a_claim_that_cannot_be_made_is_no_error_of_the_task(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = start(ONE)
    monkeypatch.setattr(tasks, "take_up", Failing(carrying.take_up))
    monkeypatch.setattr(tasks, "claim_step", Failing(claim_step))
    monkeypatch.setattr(connection, "close", lambda: None)
    run_from(run_of(execution, "start").pk)

    assert run_of(execution, "start").status == "pending"


def test_our_own_error_before_a_call_is_a_failed_try_and_holds_no_lease(
    start: Start, effects: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise KeyError("hidden-value")

    execution = start(one_step(post("p")))
    advance(execution, "start")
    monkeypatch.setattr(dispatch, "plan", broken)
    for _ in range(3):
        change(run_of(execution, "p").pk, "due_at = clock_timestamp()")
        run_from(run_of(execution, "p").pk)

    found = run_of(execution, "p")
    assert (found.status, found.effect) == ("failed", "none")
    assert "KeyError" in found.message
    assert "hidden-value" not in found.message
    assert open_reviews(execution) == []


def test_our_own_error_during_a_call_leaves_its_effect_unknown(
    start: Start, effects: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    execution = start(one_step(post("p")))
    advance(execution, "start")
    monkeypatch.setattr(dispatch, "carry_out", broken)
    for _ in range(3):
        change(run_of(execution, "p").pk, "due_at = clock_timestamp()")
        run_from(run_of(execution, "p").pk)

    assert state(execution)[0] == "failed"
    assert (run_of(execution, "p").effect, len(open_reviews(execution))) == ("unknown", 1)


def test_handing_back_is_done_again_when_its_commit_is_in_doubt(
    transactional_db: None, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = start(ONE)
    work = claim(execution, "start")
    break_commits(monkeypatch, after=True)
    hand_back(work)
    monkeypatch.undo()

    assert run_of(execution, "start").status == "pending"
    assert attempts(execution, "start") == ["abandoned"]


def test_a_sweeper_goes_on_after_whatever_goes_wrong(tenant: object, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    enough = threading.Event()
    found = Sweeper()

    def breaking(name: str, error: Exception) -> Callable[[], int]:
        def act() -> int:
            calls.append(name)
            if calls.count("sweep") >= 2 and calls.count("dispatch") >= 2:
                enough.set()
            raise error

        return act

    monkeypatch.setattr(sweeper, "PERIOD", 0.02)
    monkeypatch.setattr(sweeper, "sweep_once", breaking("sweep", OperationalError("away")))
    monkeypatch.setattr(sweeper, "dispatch_due", breaking("dispatch", ValueError("broken")))
    monkeypatch.setattr(nodes, "beat", lambda *_, **__: None)
    monkeypatch.setattr(delivering, "deliver_due", lambda: 0)
    monkeypatch.setattr(sweeper, "forget_start_keys", lambda: 0)
    monkeypatch.setattr(Sweeper, "_listen", lambda _: None)
    running = threading.Thread(target=found.run)
    running.start()
    assert enough.wait(10)
    found.end()
    running.join(10)

    assert not running.is_alive()


def test_an_outcome_that_meets_a_read_only_database_is_recorded_once_it_takes_writes_again(
    transactional_db: None, start: Start
) -> None:
    execution = start(ONE)
    advance(execution, "start")
    work = claim(execution, "a")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")  # of this session; the next one may write

    record(work)

    assert state(execution)[0] == "completed"
    check_history(execution)


def test_a_step_that_meets_a_read_only_database_is_given_back_and_no_try_is_counted(
    transactional_db: None, start: Start, effects: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    noting = statements.note_intent

    def note_read_only(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(statements, "note_intent", noting)
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        return noting(*args, **more)

    monkeypatch.setattr(statements, "note_intent", note_read_only)
    run_from(run_of(execution, "p").pk)

    run = run_of(execution, "p")
    assert (run.status, run.tries, attempts(execution, "p")) == ("pending", 0, ["abandoned"])
    assert effects.requests == []
    run_from(run.pk)
    assert state(execution)[0] == "completed"
