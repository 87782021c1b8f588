"""A run from its start to its end, through the rows, by the services that workers use."""

from __future__ import annotations

from collections.abc import Callable

from executions.models import Attempt, Event, Execution
from executions.selectors import final_variables, list_step_runs
from playbooks.cacao.types import Step, StepType, Variable
from tests.engine.test_decide import act, end, flow
from tests.flows.starting import Start

Drive = Callable[..., Execution]


def steps_of(execution: Execution) -> list[tuple[str, str]]:
    return [(run.step_id, run.status) for run in list_step_runs(execution)]


def test_a_sequence_runs_to_completed_and_tells_it_without_a_gap(start: Start, run_to_end: Drive) -> None:
    execution = run_to_end(
        start(flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a"), script={})
    )

    assert execution.status == "completed"
    assert steps_of(execution) == [(step, "completed") for step in ("start", "a", "b", "end")]
    seqs = list(Event.objects.filter(execution=execution).order_by("seq").values_list("seq", "type"))
    assert [seq for seq, _ in seqs] == list(range(1, len(seqs) + 1))
    assert [seqs[0][1], seqs[-1][1]] == ["step.pending", "execution.completed"]


def test_outputs_become_variables(start: Start, run_to_end: Drive) -> None:
    workflow = flow(
        act("a", on_success="end", out_args=("__found__",)), end(), first="a",
        variables={"__found__": Variable("__found__", type="integer")},
    )  # fmt: skip
    execution = run_to_end(start(workflow, script={"a": [{"result": "success", "output": " +07\n"}]}))

    assert final_variables(execution) == {"__found__": "7"}


def test_an_output_that_does_not_fit_fails_the_step_and_writes_nothing(start: Start, run_to_end: Drive) -> None:
    workflow = flow(
        act("a", on_success="end", out_args=("__found__",)), end(), first="a",
        variables={"__found__": Variable("__found__", type="integer")},
    )  # fmt: skip
    execution = run_to_end(start(workflow, script={"a": [{"result": "success", "output": "seven"}]}))

    assert (execution.status, execution.reason) == ("failed", "output_invalid")
    assert final_variables(execution) == {"__found__": None}


def test_a_hundred_branches_join_once(start: Start, run_to_end: Drive) -> None:
    branches = [act(f"b{n}", on_success=f"e{n}") for n in range(100)]
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=tuple(b.id for b in branches), on_completion="after")
    ends = [end(f"e{n}") for n in range(100)]
    workflow = flow(fork, *branches, *ends, act("after", on_success="end"), end(), first="fork")
    execution = run_to_end(start(workflow, script={}), within=60)

    assert execution.status == "completed"
    assert [step for step, _ in steps_of(execution)].count("after") == 1


def test_each_claim_is_an_attempt_numbered_by_its_fence(start: Start, run_to_end: Drive) -> None:
    execution = run_to_end(start(flow(act("a", on_success="end"), end(), first="a"), script={}))

    numbers = Attempt.objects.filter(step_run__execution=execution, step_run__step_id="a").values_list(
        "number", "outcome"
    )
    assert list(numbers) == [(1, "completed")]
