"""What follows what: CACAO.md 12, decided from plain values."""

from __future__ import annotations

import pytest

from executions.engine.decisions import Result
from executions.engine.statuses import StepStatus
from playbooks.cacao import conditions
from playbooks.cacao.types import Command, Step, StepType, Variable, Workflow
from tests.engine.simulation import Outcome, Simulation

COMPLETED = Result(StepStatus.COMPLETED)
FAILED = Result(StepStatus.FAILED, "command_failed", "no")
TIMED_OUT = Result(StepStatus.TIMED_OUT, "timed_out")


def act(name: str, **more: object) -> Step:
    return Step(id=name, type=StepType.ACTION, commands=(Command("bash", text="true"),), **more)  # type: ignore[arg-type]


def end(name: str = "end") -> Step:
    return Step(id=name, type=StepType.END)


def flow(*steps: Step, first: str, variables: dict[str, Variable] | None = None, **more: object) -> Workflow:
    start = Step(id="start", type=StepType.START, on_completion=first)
    found = {step.id: step for step in (start, *steps)}
    return Workflow(start="start", steps=found, variables=variables or {}, **more)  # type: ignore[arg-type]


def condition(text: str, *names: str) -> dict[str, object]:
    return dict(conditions.parse(text, lenient=False, declared=names).ast)


def outcomes(**given: Result | list[Result]) -> Outcome:
    def outcome(step: str, visit: int) -> Result:
        found = given.get(step, COMPLETED)
        return found[min(visit, len(found)) - 1] if isinstance(found, list) else found

    return outcome


def test_steps_follow_on_success() -> None:
    played = Simulation(flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")).play()

    assert (played.visited, played.status) == (["start", "a", "b", "end"], "completed")


@pytest.mark.parametrize(
    ("pointers", "result", "visited", "status"),
    [
        ({"on_success": "b"}, COMPLETED, ["a", "b", "end"], "completed"),
        ({"on_completion": "b"}, COMPLETED, ["a", "b", "end"], "completed"),
        ({}, COMPLETED, ["a"], "completed"),
        ({"on_failure": "b"}, FAILED, ["a", "b", "end"], "completed"),
        ({"on_completion": "b"}, FAILED, ["a", "b", "end"], "completed"),
        ({"on_completion": "b"}, TIMED_OUT, ["a", "b", "end"], "completed"),
        ({"on_success": "b"}, FAILED, ["a"], "failed"),
        ({"on_failure": "b", "on_failure_reasons": frozenset({"rejected"})}, FAILED, ["a"], "failed"),
    ],
)
def test_the_pointer_that_fits_the_outcome_is_followed(
    pointers: dict[str, object], result: Result, visited: list[str], status: str
) -> None:
    workflow = flow(act("a", **pointers), act("b", on_completion="end"), end(), first="a")
    played = Simulation(workflow, outcomes(a=result)).play()

    assert (played.visited[1:], played.status) == (visited, status)


def test_stop_on_failure_follows_on_completion_after_success_only() -> None:
    workflow = flow(act("a", on_completion="end"), end(), first="a")
    simulation = Simulation(workflow, outcomes(a=FAILED))
    simulation.rules = type(simulation.rules)(match=simulation.rules.match, stop_on_failure=True)

    assert simulation.play().status == "failed"


def test_an_unhandled_failure_enters_the_exception_step_and_the_execution_fails_all_the_same() -> None:
    workflow = flow(
        act("a", on_success="end"), act("x", on_completion="end2"), end(), end("end2"), first="a", exception="x"
    )
    played = Simulation(workflow, outcomes(a=FAILED)).play()

    assert played.visited == ["start", "a", "x", "end2"]
    assert played.ended is not None
    assert (played.status, played.ended.reason, played.ended.exception_handled) == ("failed", "command_failed", True)


def test_a_failure_on_the_exception_path_does_not_enter_it_again() -> None:
    workflow = flow(act("a", on_success="end"), act("x", on_success="end"), end(), first="a", exception="x")
    played = Simulation(workflow, outcomes(a=FAILED, x=FAILED)).play()

    assert played.visited == ["start", "a", "x"]
    assert played.ended is not None
    assert played.ended.exception_handled is False


def _fork(**more: object) -> Workflow:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_completion="after", **more)  # type: ignore[arg-type]
    return flow(
        fork,
        act("a", on_success="enda"),
        act("b", on_success="endb"),
        act("after", on_completion="end"),
        end(),
        end("enda"),
        end("endb"),
        first="fork",
        variables={"__x__": Variable("__x__", value="0"), "__y__": Variable("__y__")},
    )


def test_a_parallel_waits_for_all_its_branches_and_goes_on_once() -> None:
    played = Simulation(_fork()).play(lambda runs: runs[-1])

    assert sorted(played.visited) == sorted(["start", "fork", "a", "b", "enda", "endb", "after", "end"])
    assert played.visited[-2:] == ["after", "end"]
    assert played.status == "completed"


@pytest.mark.parametrize("last", [0, -1])
def test_the_later_branch_wins_whatever_ends_first(last: int) -> None:
    writes = outcomes(
        a=Result(StepStatus.COMPLETED, values={"__x__": "from a", "__y__": "a"}),
        b=Result(StepStatus.COMPLETED, values={"__x__": "from b"}),
    )
    played = Simulation(_fork(), writes).play(lambda runs: runs[last])

    assert played.variables == {"__x__": "from b", "__y__": "a"}


def test_a_branch_that_breaks_lets_the_others_end_and_fails_the_parallel() -> None:
    played = Simulation(_fork(), outcomes(a=FAILED)).play()

    assert "b" in played.visited
    assert "after" not in played.visited
    assert played.runs["fork", ""].reason == "branch_failed"
    assert played.status == "failed"


def test_fail_fast_stops_the_siblings() -> None:
    played = Simulation(_fork(fail_fast=True), outcomes(a=FAILED)).play()

    assert played.runs["b", "fork.2"].status == StepStatus.CANCELLED
    assert (played.status, played.is_settled()) == ("failed", True)


def _loop(limit: str) -> Workflow:
    loop = Step(
        id="loop",
        type=StepType.WHILE,
        condition=condition(f"__n__:value < {limit}", "__n__"),
        on_true="body",
        on_completion="end",
        variables={"__own__": Variable("__own__", value="0")},
    )
    variables = {"__n__": Variable("__n__", type="integer", value="0")}
    return flow(loop, act("body", on_success="bodyend"), end("bodyend"), end(), first="loop", variables=variables)


def _counting(step: str, visit: int) -> Result:
    return Result(StepStatus.COMPLETED, values={"__n__": str(visit)} if step == "body" else {})


def test_a_loop_visits_its_body_until_the_condition_is_false() -> None:
    played = Simulation(_loop("3"), _counting).play()

    assert played.visited == ["start", "loop", "body", "bodyend", "body", "bodyend", "body", "bodyend", "end"]
    assert [scope for step, scope in played.order if step == "body"] == ["loop#1", "loop#2", "loop#3"]
    assert played.status == "completed"


def test_a_loop_that_never_ends_fails_with_limit() -> None:
    played = Simulation(_loop("3")).play()

    assert played.runs["loop", ""].reason == "limit"
    assert played.visited.count("body") == 1000
    assert played.status == "failed"


def test_an_openers_own_variables_live_through_all_visits() -> None:
    def outcome(step: str, visit: int) -> Result:
        return Result(StepStatus.COMPLETED, values={"__n__": str(visit), "__own__": f"visit {visit}"})

    played = Simulation(_loop("2"), outcome).play()

    assert played.scopes["loop#2"].variables["__own__"] == "visit 2"
    assert "__own__" not in played.variables


@pytest.mark.parametrize(("value", "visited"), [("high", ["hot"]), ("low", ["rest"]), ("High", ["rest"])])
def test_a_switch_compares_exactly_and_falls_back_on_default(value: str, visited: list[str]) -> None:
    switch = Step(
        id="s", type=StepType.SWITCH, switch="__v__", cases={"high": "hot", "default": "rest"}, on_completion="end"
    )
    workflow = flow(
        switch, act("hot"), act("rest"), end(), first="s", variables={"__v__": Variable("__v__", value=value)}
    )
    played = Simulation(workflow).play()

    assert played.visited == ["start", "s", *visited, "end"]


def test_a_condition_without_a_value_is_an_error_and_never_false() -> None:
    decision = Step(
        id="if",
        type=StepType.IF,
        condition=condition("__v__:value = 'x'", "__v__"),
        on_true="a",
        on_completion="end",
    )
    workflow = flow(decision, act("a"), end(), first="if", variables={"__v__": Variable("__v__")})
    played = Simulation(workflow).play()

    assert played.runs["if", ""].reason == "condition_error"
    assert (played.visited, played.status) == (["start", "if"], "failed")


def test_the_reason_of_a_failure_is_told_to_the_steps_that_follow() -> None:
    played = Simulation(
        flow(act("a", on_failure="b"), act("b", on_success="end"), end(), first="a"), outcomes(a=TIMED_OUT)
    ).play()

    assert played.scopes[""].variables["__sallyport_failed_step__"] == "a"
    assert played.scopes[""].variables["__sallyport_failure_reason__"] == "ACTION_TIMEOUT"
    assert "__sallyport_failed_step__" not in played.variables


def test_branches_that_meet_before_any_end_go_on_once_from_where_they_meet() -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_completion="meet", join="meet")
    workflow = flow(
        fork,
        act("a", on_success="meet"),
        act("b", on_success="meet"),
        act("meet", on_success="end"),
        end(),
        first="fork",
    )
    played = Simulation(workflow).play()

    assert played.visited == ["start", "fork", "a", "b", "meet", "end"]


def test_sixty_nested_loops_run_without_recursion() -> None:
    names = [f"loop{n}" for n in range(60)]
    steps = [
        Step(
            id=name,
            type=StepType.WHILE,
            condition=condition("__n__:value < 1", "__n__"),
            on_true=names[n + 1] if n < 59 else "body",
            on_completion=f"end{n}",
        )
        for n, name in enumerate(names)
    ]
    ends = [end(f"end{n}") for n in range(60)]
    variables = {"__n__": Variable("__n__", type="integer", value="0")}
    workflow = flow(
        *steps, *ends, act("body", on_success="bodyend"), end("bodyend"), first="loop0", variables=variables
    )
    played = Simulation(workflow, _counting).play()

    assert (played.status, played.visited.count("body")) == ("completed", 1)
