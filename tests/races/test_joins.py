"""Branches and visits that end at the same moment go on once (I12, I13)."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest

from executions.models import Attempt, Event, Scope, StepRun
from executions.tasks import run_from
from playbooks.cacao.types import Operation, Step, StepType, Variable, Workflow
from tests.engine.test_decide import act, condition, end, flow
from tests.executions.acting import advance, claim, record, run_of, state
from tests.executions.histories import check_history
from tests.flows.starting import Start
from tests.races.racing import ROUNDS, racers


def forked(width: int) -> Workflow:
    branches = [act(f"b{n}") for n in range(width)]
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=tuple(b.id for b in branches), on_success="after")
    return flow(fork, *branches, act("after", on_success="end"), end(), first="fork")


@pytest.mark.parametrize(("width", "rounds"), [(50, 4), (4, ROUNDS // 2)])
def test_branches_that_end_at_once_are_joined_once(start: Start, width: int, rounds: int) -> None:
    workflow = forked(width)
    with racers(width) as threads:
        for _ in range(rounds):
            execution = start(workflow)
            advance(execution, "start")
            works = [claim(execution, f"b{n}", worker=f"w{n}") for n in range(width)]
            told = threads.run([partial(record, work) for work in works])

            assert told == [None] * width
            assert StepRun.objects.filter(execution=execution, step_id="after").count() == 1
            assert run_of(execution, "fork").status == "completed"
            advance(execution, "after")
            assert state(execution)[0] == "completed"
            check_history(execution)


@pytest.mark.parametrize("width", [24, 3])
def test_workers_that_carry_on_do_each_branch_once_and_join_once(start: Start, settings: object, width: int) -> None:
    """Each worker has the nudge of one branch, and takes those that it comes to before their own nudge does."""
    settings.SALLYPORT_ALLOW_FAKE = True  # type: ignore[attr-defined]
    firsts = tuple(f"b{n}" for n in range(width))
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=firsts, on_success="after")
    branches = [look(name, on_success=f"end-{name}") for name in firsts]
    workflow = flow(
        fork, *branches, *[end(f"end-{name}") for name in firsts], look("after", on_success="end"), end(), first="fork"
    )
    with racers(6) as threads:
        for number in range(ROUNDS // 5):
            execution = start(workflow)
            advance(execution, "start")
            runs = [run_of(execution, name).pk for name in firsts]
            assert threads.run([partial(run_all, runs[n::6] or [runs[n % width]]) for n in range(6)]) == [None] * 6

            assert state(execution)[0] == "completed", number
            attempts = Attempt.objects.filter(step_run__execution=execution, step_run__kind="act")
            assert attempts.count() == width + 1
            assert Event.objects.filter(execution=execution, type="execution.completed").count() == 1
            check_history(execution)


def look(name: str, *, on_success: str) -> Step:
    operation = Operation(name="fake.read", reference="act-fake-read", parameters={"output": name})
    return Step(id=name, type=StepType.ACTION, operation=operation, on_success=on_success)


def run_all(step_runs: list[UUID]) -> None:
    for step_run in step_runs:
        run_from(step_run)


def test_nudges_that_come_many_times_visit_a_loop_in_order(start: Start, settings: object) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True  # type: ignore[attr-defined]
    loop = Step(
        id="while", type=StepType.WHILE, condition=condition("__go__:value = 'yes'", "__go__"), on_true="body",
        on_failure="end",
    )  # fmt: skip
    workflow = flow(loop, act("body"), end(), first="while", variables={"__go__": Variable("__go__", value="yes")})
    with racers(4) as threads:
        for _ in range(ROUNDS // 5):
            execution = start(workflow, script={}, loop_limit=5)
            settings.SALLYPORT_SLICE *= 0  # type: ignore[attr-defined]
            while True:
                due = StepRun.objects.filter(execution=execution, status="pending").first()
                if due is None:
                    break
                threads.all_at_once(partial(run_from, due.pk))

            assert state(execution)[0] == "completed"
            visits = Scope.objects.filter(execution=execution, opener_step="while").order_by("position")
            assert list(visits.values_list("position", flat=True)) == [1, 2, 3, 4, 5]
            claims = Event.objects.filter(execution=execution, type="step.claimed", data__step="body")
            assert claims.count() == 5
            check_history(execution)
