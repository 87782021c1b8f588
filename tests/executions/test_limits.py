"""Limits of one execution: 1,000 visits a loop, 10,000 step runs (EXECUTION-SEMANTICS 10)."""

from __future__ import annotations

import logging

import pytest

from executions.engine import decide
from executions.engine.statuses import StepStatus
from executions.models import Execution
from executions.services.sweeping import sweep_once
from playbooks.cacao.types import Step, StepType, Variable
from tests.engine.simulation import Simulation
from tests.engine.test_decide import act, condition, end, flow
from tests.executions.acting import advance, change, claim, lose, record, run_of, state, statuses
from tests.executions.histories import check_history
from tests.flows.starting import Start

FOREVER = Step(
    id="loop", type=StepType.WHILE, condition=condition("__go__:value = 'yes'", "__go__"), on_true="body",
    on_success="end",
)  # fmt: skip
LOOP = flow(FOREVER, act("body"), end(), first="loop", variables={"__go__": Variable("__go__", value="yes")})


def test_a_loop_is_left_at_its_thousandth_visit() -> None:
    played = Simulation(LOOP).play()

    assert played.visited.count("body") == decide.LOOP_LIMIT == 1_000
    assert (played.status, played.runs["loop", ""].reason) == ("failed", "limit")


def test_an_execution_opens_as_many_step_runs_as_it_may_and_no_more() -> None:
    rules = decide.Rules(match=lambda _, __: False, step_run_limit=500)
    played = Simulation(LOOP, rules=rules).play()

    assert decide.Rules(match=lambda _, __: False).step_run_limit == 10_000
    assert len(played.runs) == 500
    assert played.ended is not None
    assert (played.status, played.ended.reason) == ("failed", "limit")


def test_a_parallel_counts_each_of_its_branches() -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=tuple(f"b{n}" for n in range(60)), on_success="end")
    rules = decide.Rules(match=lambda _, __: False, step_run_limit=50)
    played = Simulation(flow(fork, *(act(f"b{n}") for n in range(60)), end(), first="fork"), rules=rules).play()

    assert len(played.runs) == 50
    assert played.ended is not None
    assert played.ended.reason == "limit"


def test_step_runs_are_counted_over_all_commits_of_an_execution(start: Start) -> None:
    execution = start(LOOP)
    advance(execution, "start", "body")
    Execution.objects.filter(pk=execution.pk).update(step_runs_made=decide.STEP_RUN_LIMIT)
    advance(execution, "body")

    assert state(execution) == ("failed", "limit")
    assert "more than 10000 step runs" in execution.message
    assert execution.step_runs_made == decide.STEP_RUN_LIMIT


def test_at_the_limit_other_branches_end_before_the_execution_does(start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_success="end")
    execution = start(flow(fork, act("a", on_success="c"), act("b"), act("c"), end(), first="fork"))
    advance(execution, "start")
    running = claim(execution, "b")
    Execution.objects.filter(pk=execution.pk).update(step_runs_made=decide.STEP_RUN_LIMIT)
    advance(execution, "a")
    assert (state(execution)[0], execution.stop_as, run_of(execution, "b").status) == ("running", "failed", "running")

    record(running)
    assert state(execution) == ("failed", "limit")
    assert run_of(execution, "b").status == StepStatus.COMPLETED
    check_history(execution)


@pytest.mark.parametrize("way", ["poison", "undeliverable"])
def test_a_step_that_nobody_can_carry_out_lets_the_others_go_on(
    start: Start, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("bad", "good"), on_success="end", on_failure="after")
    execution = start(flow(fork, act("bad"), act("good"), act("after", on_success="end"), end(), first="fork"))
    other = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    with caplog.at_level(logging.ERROR):
        if way == "poison":
            for _ in range(3):
                lose(claim(execution, "bad"))
                sweep_once()
        else:
            change(run_of(execution, "bad").pk, "publications = 10, published_at = clock_timestamp() - interval '61 s'")
            sweep_once()

    assert (run_of(execution, "bad").status, run_of(execution, "bad").reason) == ("failed", way)
    assert f"alarm.{way}" in caplog.text
    advance(execution, "good", "after")
    advance(other, "start", "a")
    assert state(execution)[0] == state(other)[0] == "completed"
    assert statuses(execution) == {"fork": "failed", "bad": "failed", "good": "completed", "after": "completed"}
    check_history(execution)


def test_a_claim_in_between_begins_the_count_of_publications_anew(start: Start) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    change(run_of(execution, "start").pk, "publications = 9, published_at = clock_timestamp() - interval '61 s'")
    lose(claim(execution, "start"))
    sweep_once()

    assert (run_of(execution, "start").status, run_of(execution, "start").publications) == ("pending", 0)


def test_two_lost_attempts_and_an_outcome_are_no_poison(start: Start) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    for _ in range(2):
        lose(claim(execution, "a"))
        sweep_once()
    advance(execution, "a")

    assert state(execution)[0] == "completed"
