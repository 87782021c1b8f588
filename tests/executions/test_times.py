"""Delays, timers, deadlines and waits between tries: stored times, never a sleep (EXECUTION-SEMANTICS 8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.base import failed
from executions.models import Execution
from executions.performed import Performed
from executions.services.claiming import claim_step
from executions.services.sweeping import sweep_once, sweep_urgent
from playbooks.cacao.types import Step, StepType, Variable
from tests.engine.test_decide import act, condition, end, flow
from tests.executions.acting import (
    advance,
    attempts,
    change,
    claim,
    lose,
    open_reviews,
    pass_deadline,
    record,
    run_of,
    state,
    statuses,
)
from tests.executions.histories import check_history
from tests.flows.starting import Start

MINUTE = timedelta(minutes=1)
GO = {"__go__": Variable("__go__", value="yes")}
YES = condition("__go__:value = 'yes'", "__go__")


def due_in(execution: Execution, step: str) -> float:
    found = run_of(execution, step)
    assert found.due_at is not None
    return (found.due_at - execution.created_at).total_seconds()


def make_due(execution: Execution, step: str) -> None:
    change(run_of(execution, step).pk, "due_at = clock_timestamp()")


def test_a_delayed_step_is_not_claimed_before_its_time(start: Start) -> None:
    execution = start(flow(act("a", on_success="end", delay=MINUTE), end(), first="a"))
    advance(execution, "start")

    assert 59 < due_in(execution, "a") < 75
    assert claim_step(step_run_id=run_of(execution, "a").pk, worker="w") is None


@pytest.mark.parametrize("kind", [StepType.PARALLEL, StepType.IF, StepType.END])
def test_a_control_step_waits_for_its_delay_too(start: Start, kind: StepType) -> None:
    steps = {
        StepType.PARALLEL: Step(id="s", type=kind, next_steps=("a", "b"), on_success="end", delay=MINUTE),
        StepType.IF: Step(id="s", type=kind, condition=YES, on_true="a", on_success="end", delay=MINUTE),
        StepType.END: Step(id="s", type=kind, delay=MINUTE),
    }
    execution = start(flow(steps[kind], act("a"), act("b"), end(), first="s", variables=GO))
    advance(execution, "start")
    assert (run_of(execution, "s").status, state(execution)[0]) == ("pending", "paused")

    make_due(execution, "s")
    advance(execution, "s", *{StepType.PARALLEL: ("a", "b"), StepType.IF: ("a",), StepType.END: ()}[kind])
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_the_time_of_a_delayed_step_begins_with_the_end_of_its_delay(start: Start) -> None:
    execution = start(flow(act("a", on_success="end", delay=MINUTE, timeout=MINUTE), end(), first="a"))
    advance(execution, "start")
    found = run_of(execution, "a")

    assert found.deadline_at is not None
    assert found.due_at is not None
    assert found.deadline_at - found.due_at == MINUTE


def test_a_timer_fires_once(start: Start) -> None:
    timer = Step(id="t", type=StepType.DELAY, wait=MINUTE, on_success="a")
    execution = start(flow(timer, act("a", on_success="end"), end(), first="t"))
    advance(execution, "start")
    assert (statuses(execution), state(execution)[0]) == ({"t": "waiting"}, "paused")
    assert sweep_urgent() == 0

    make_due(execution, "t")

    assert (sweep_urgent(), sweep_urgent()) == (1, 0)
    assert statuses(execution) == {"t": "completed", "a": "pending"}
    assert state(execution)[0] == "running"
    check_history(execution)


def test_a_timer_of_a_held_execution_fires_and_starts_nothing(start: Start) -> None:
    from core.actors import SYSTEM
    from executions.services import pause_execution
    from tests.factories import NOON

    timer = Step(id="t", type=StepType.DELAY, wait=MINUTE, on_success="a")
    execution = start(flow(timer, act("a", on_success="end"), end(), first="t"))
    advance(execution, "start")
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    make_due(execution, "t")
    sweep_urgent()

    assert statuses(execution) == {"t": "completed", "a": "pending"}
    assert claim_step(step_run_id=run_of(execution, "a").pk, worker="w") is None
    assert state(execution)[0] == "paused"


@pytest.mark.parametrize("situation", ["pending", "running", "retrying"])
def test_a_step_whose_time_is_over_is_timed_out_whatever_it_does(start: Start, situation: str) -> None:
    execution = start(
        flow(act("a", on_success="end", on_failure="late"), act("late", on_completion="end"), end(), first="a")
    )
    advance(execution, "start")
    work = None if situation == "pending" else claim(execution, "a")
    if situation == "retrying" and work is not None:
        record(work, Performed(failed("connect_failed", "no", sent=False), effect_class="read"))
    assert run_of(execution, "a").status == situation
    pass_deadline(execution, "a")
    sweep_once()

    assert statuses(execution) == {"a": "timed_out", "late": "pending"}
    if situation == "running" and work is not None:
        record(work)
        assert attempts(execution, "a") == ["timed_out"]
    assert open_reviews(execution) == []
    check_history(execution)


def test_a_call_that_is_under_way_when_time_is_over_is_reviewed(start: Start) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    work = claim(execution, "a")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'keyed'")
    pass_deadline(execution, "a")
    sweep_once()

    assert state(execution) == ("failed", "timed_out")
    assert (run_of(execution, "a").effect, len(open_reviews(execution))) == ("unknown", 1)


def test_the_time_of_an_opener_stops_its_branches(start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_success="end", timeout=MINUTE)
    execution = start(flow(fork, act("a"), act("b"), end(), first="fork"))
    advance(execution, "start", "a")
    work = claim(execution, "b")
    pass_deadline(execution, "fork")
    sweep_once()

    assert statuses(execution) == {"fork": "timed_out", "a": "completed", "b": "cancelled"}
    assert state(execution) == ("failed", "timed_out")
    record(work)
    assert statuses(execution)["b"] == "cancelled"
    check_history(execution)


def test_an_execution_has_a_time_of_its_own(start: Start) -> None:
    execution = start(flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a", timeout=MINUTE))
    assert execution.deadline_at is not None
    assert execution.deadline_at - execution.created_at == MINUTE
    advance(execution, "start")
    work = claim(execution, "a")
    Execution.objects.filter(pk=execution.pk).update(deadline_at=execution.created_at)
    sweep_once()

    assert state(execution)[0] == "running"
    record(work)
    assert state(execution) == ("failed", "timed_out")
    assert statuses(execution) == {"a": "completed"}
    check_history(execution)


def test_waits_between_tries_double_and_are_spread_over_the_whole_span(start: Start) -> None:
    """Full jitter: the wait before try n + 1 lies anywhere between 0 and 2^(n-1) seconds."""
    waits: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(25):
        execution = start(flow(act("a", on_success="end"), end(), first="a"))
        advance(execution, "start")
        for number in waits:
            make_due(execution, "a")
            work = claim(execution, "a")
            record(work, Performed(failed("connect_failed", "no", sent=False), effect_class="read"))
            found = run_of(execution, "a")
            assert found.due_at is not None
            waits[number].append((found.due_at - work.execution.now).total_seconds())

    assert all(0 <= wait < 1.3 for wait in waits[1])
    assert all(0 <= wait < 2.3 for wait in waits[2])
    assert max(waits[2]) > 1.2
    assert len({round(wait, 3) for wait in waits[1]}) > 15


def test_a_lost_attempt_waits_for_nothing(start: Start) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    lose(claim(execution, "a"))
    sweep_once()

    claim(execution, "a")
