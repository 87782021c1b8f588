"""The window of nudges: what is published, when again, and what takes no room (EXECUTION-SEMANTICS 6.2, ruling 34)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from kombu.exceptions import OperationalError

from core.actors import SYSTEM
from executions import dispatching, nodes, queue
from executions.dispatching import dispatch_due
from executions.models import Execution
from executions.queue import Nudge
from executions.services import cancel_execution, pause_execution, resume_execution
from executions.services.sweeping import sweep_once
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, change, claim, lose, run_of
from tests.factories import NOON
from tests.flows.starting import Start

ONE = flow(act("a", on_success="end"), end(), first="a")


class Broker:
    """Stands where nudges go to: what was published and not taken. The real one is met in tests/faults."""

    def __init__(self) -> None:
        self.nudges: list[UUID] = []
        self.published: list[Nudge] = []
        self.is_away = False

    def publish(self, nudges: Sequence[Nudge]) -> None:
        if self.is_away:
            raise OperationalError("away")
        self.published += nudges
        self.nudges += [step_run for nudge in nudges for step_run in nudge.step_runs]

    def waiting(self) -> int:
        if self.is_away:
            raise OperationalError("away")
        return len(self.nudges)

    def take_all(self) -> list[UUID]:
        taken, self.nudges = self.nudges, []
        return taken


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, tenant: object) -> Broker:
    found = Broker()
    monkeypatch.setattr(queue, "publish", found.publish)
    monkeypatch.setattr(queue, "waiting", found.waiting)
    nodes.beat("work@one", role="work", slots=2)
    return found


def first_runs(executions: list[Execution]) -> list[UUID]:
    return [run_of(execution, "start").pk for execution in executions]


def age(execution: Execution, seconds: int, *, publications: int = 1) -> None:
    """Let the last publication of the start step lie back."""
    columns = f"published_at = clock_timestamp() - interval '{seconds} s', publications = {publications}"
    change(run_of(execution, "start").pk, columns)


def test_only_a_window_is_published_the_oldest_first(start: Start, broker: Broker) -> None:
    executions = [start(ONE) for _ in range(10)]

    assert dispatch_due() == 2 * dispatching.NUDGES_A_SLOT
    assert broker.nudges == first_runs(executions)[:8]
    assert dispatch_due() == 0

    taken = broker.take_all()
    claim(executions[0], "start")
    assert dispatch_due() == 1
    assert set(broker.nudges).isdisjoint(taken)


def test_without_workers_a_small_window_is_kept_and_nothing_counts(start: Start, broker: Broker) -> None:
    nodes.forget("work@one")
    execution = start(ONE)

    assert dispatch_due() == 1
    assert run_of(execution, "start").publications == 0


def test_what_is_held_or_stops_takes_no_room(start: Start, broker: Broker) -> None:
    for steer in [pause_execution] * 8:
        execution = start(ONE)
        age(execution, 1)
        steer(execution=execution, actor=SYSTEM, now=NOON)
    waiting = [start(ONE) for _ in range(3)]

    assert dispatch_due() == 3
    assert broker.nudges == first_runs(waiting)


def test_what_is_resumed_is_published_at_once(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    broker.take_all()
    assert dispatch_due() == 0

    resume_execution(execution=execution, actor=SYSTEM, now=NOON)
    assert dispatch_due() == 1


def test_a_nudge_that_still_waits_is_not_published_again_however_old(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    age(execution, 3600)

    assert dispatch_due() == 0


def test_a_nudge_that_was_lost_is_published_again_by_age(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    broker.take_all()
    age(execution, 2)
    assert dispatch_due() == 0
    age(execution, 4)
    assert dispatch_due() == 1
    broker.take_all()
    age(execution, 4, publications=2)
    assert dispatch_due() == 0


def test_no_more_is_published_again_than_is_missing(start: Start, broker: Broker) -> None:
    executions = [start(ONE) for _ in range(4)]
    dispatch_due()
    broker.nudges.pop(0)
    for execution in executions:
        age(execution, 10)

    assert dispatch_due() == 1


def test_an_old_counter_does_not_break_the_dispatcher(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    age(execution, 61, publications=30_000)

    assert dispatch_due() == 1


def test_lost_work_goes_before_fresh_starts(start: Start, broker: Broker) -> None:
    fresh = start(ONE)
    lost = start(ONE)
    lose(claim(lost, "start"))
    sweep_once()
    dispatch_due()

    assert broker.nudges == first_runs([lost, fresh])


def test_what_has_begun_goes_before_what_has_not(start: Start, broker: Broker) -> None:
    fresh, begun = start(ONE), start(ONE)
    advance(begun, "start")
    dispatch_due()

    assert broker.nudges == [run_of(begun, "a").pk, run_of(fresh, "start").pk]


def test_what_could_not_be_published_is_due_for_publication_still(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    broker.is_away = True
    assert dispatch_due() == 0
    assert (run_of(execution, "start").published_at, run_of(execution, "start").publications) == (None, 0)

    broker.is_away = False
    assert dispatch_due() == 1


def test_what_ends_is_not_published(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)

    assert dispatch_due() == 0
