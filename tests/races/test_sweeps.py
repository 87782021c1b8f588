"""Any number of sweepers and dispatchers do the work once (ruling 3)."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import connection

from executions import nodes, queue
from executions.dispatching import dispatch_due
from executions.models import Execution, StepRun
from executions.services.sweeping import sweep_once
from executions.turn import turn_of
from playbooks.cacao.types import Step, StepType
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, attempts, change, claim, events, lose, run_of
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.executions.test_times import MINUTE
from tests.flows.starting import Start
from tests.races.racing import ROUNDS, racers

ONE = flow(act("a", on_success="end"), end(), first="a")


def test_four_sweeps_at_once_move_each_thing_once(start: Start) -> None:
    timer = Step(id="t", type=StepType.DELAY, wait=MINUTE, on_success="b")
    timed = flow(timer, act("b", on_success="end"), end(), first="t")
    asking = flow(ask(on_failure="end"), end(), first="q")
    with racers(4) as threads:
        for _ in range(ROUNDS // 3):
            lost, waiting, asked = start(ONE), start(timed), start(asking)
            advance(waiting, "start")
            advance(asked, "start")
            lose(claim(lost, "start"))
            change(run_of(waiting, "t").pk, "due_at = clock_timestamp()")
            change(run_of(asked, "q").pk, "deadline_at = clock_timestamp()")

            moved = threads.all_at_once(sweep_once)

            assert sum(moved) == 3, moved
            assert attempts(lost, "start") == ["lost"]
            assert run_of(lost, "start").lost_attempts == 1
            assert events(waiting).count("step.completed") == 2
            assert events(asked).count("step.timed_out") == 1
            for execution in (lost, waiting, asked):
                check_history(execution)


def test_a_process_that_is_frozen_inside_a_turn_keeps_the_sweep_from_no_other_execution(start: Start) -> None:
    stuck, lost = start(ONE), start(ONE)
    for execution in (stuck, lost):
        lose(claim(execution, "start"))
    is_locked, may_end = threading.Event(), threading.Event()

    def freeze() -> None:
        with turn_of(stuck.pk):
            is_locked.set()
            may_end.wait(30)
        connection.close()

    frozen = threading.Thread(target=freeze)
    frozen.start()
    is_locked.wait(10)
    try:
        assert sweep_once() == 1
        assert (run_of(stuck, "start").status, run_of(lost, "start").status) == ("running", "pending")
    finally:
        may_end.set()
        frozen.join()
    assert sweep_once() == 1


def test_dispatchers_at_once_publish_each_step_run_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[UUID] = []
    lock = threading.Lock()

    def publish(nudges: list[queue.Nudge]) -> None:
        with lock:
            published.extend(step_run for nudge in nudges for step_run in nudge.step_runs)

    monkeypatch.setattr(queue, "publish", publish)
    nodes.beat("work@one", role="work", slots=100)
    with racers(4) as threads:
        for _ in range(ROUNDS // 5):
            published.clear()
            due = {run_of(start(ONE), "start").pk for _ in range(10)}
            while StepRun.objects.filter(pk__in=due, published_at=None).exists():
                told = threads.all_at_once(dispatch_due)
                assert not [error for error in told if isinstance(error, Exception)], told

            assert sorted(published) == sorted(due)
            Execution.objects.all().delete()
