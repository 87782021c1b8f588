"""What S4E templates and expressions see of the steps so far (contracts/s4e.md, templates)."""

from __future__ import annotations

from typing import Any

from connectors.base import completed, failed
from executions.engine.facts import child_path
from executions.facts import StoredFacts
from executions.models import Execution
from executions.performed import Performed
from executions.preparing import calls_of
from executions.services import start_execution
from executions.statements import lock_execution
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from tests.engine.test_decide import end
from tests.executions.acting import advance, answer, asked, claim, record, run_of, state
from tests.executions.test_answering import ask
from tests.flows.starting import Start, store_workflow


def say(name: str, **more: Any) -> Step:
    parameters = more.pop("parameters", {})
    return Step(
        id=name, type=StepType.ACTION, operation=Operation("http.request", "act-http-request", parameters), **more
    )


def s4e(*steps: Step) -> Workflow:
    start = Step(id="start", type=StepType.START, on_completion=steps[0].id)
    return Workflow(start="start", steps={step.id: step for step in (start, *steps, end())}, dialect="s4e")


def context(execution: Execution, scope: str = "") -> dict[str, Any]:
    row = lock_execution(execution.pk)
    assert row is not None
    return dict(StoredFacts(row).template_context(scope, "next"))


def done(execution: Execution, step: str, output: Any = None) -> None:
    record(claim(execution, step), Performed(completed(output)))


def test_before_the_first_step_there_is_no_previous_one(start: Start) -> None:
    execution = start(s4e(say("a", on_success="end")))
    advance(execution, "start")

    assert (context(execution)["steps"], context(execution)["previous_step"]) == ({}, None)


def test_steps_are_seen_by_their_ids_with_status_and_output(start: Start) -> None:
    execution = start(s4e(say("a", on_success="b"), say("b", on_completion="c"), say("c", on_success="end")))
    advance(execution, "start")
    done(execution, "a", {"n": 1})
    record(claim(execution, "b"), Performed(failed("client_error", "no", sent=True, retry=False)))
    claim(execution, "c")

    found = context(execution)
    assert found["steps"] == {
        "a": {"status": "completed", "output": {"n": 1}},
        "b": {"status": "failed", "output": None},
        "c": {"status": "running", "output": None},
    }
    assert found["previous_step"] == {"status": "failed", "output": None}


def test_in_a_parallel_the_previous_step_is_that_of_the_own_branch(start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a1", "b1"), on_success="after")
    branches = [say("a1", on_success="a2"), say("a2"), say("b1", on_success="b2"), say("b2")]
    execution = start(s4e(say("first", on_success="fork"), fork, *branches, say("after", on_success="end")))
    advance(execution, "start")
    done(execution, "first", "f")
    one, two = (child_path("", "fork", StepType.PARALLEL, str(number)) for number in (1, 2))
    assert [context(execution, scope)["previous_step"]["output"] for scope in (one, two)] == ["f", "f"]

    done(execution, "b1", "b")
    assert context(execution, one)["previous_step"]["output"] == "f"
    done(execution, "a1", "a")
    assert [context(execution, scope)["previous_step"]["output"] for scope in (one, two)] == ["a", "b"]

    done(execution, "b2")
    done(execution, "a2")
    assert context(execution)["previous_step"] == {"status": "completed", "output": None}


def test_inside_a_condition_the_condition_is_completed_and_the_step_before_it_is_the_previous_one(start: Start) -> None:
    condition = Step(id="if", type=StepType.IF, expression="1 == 1", on_true="yes", on_success="end")
    execution = start(s4e(say("a", on_success="if"), condition, say("yes")))
    advance(execution, "start")
    done(execution, "a", "x")

    found = context(execution, child_path("", "if", StepType.IF, "true"))
    assert found["steps"]["if"]["status"] == "completed"
    assert found["previous_step"]["output"] == "x"


def test_an_approval_is_seen_too(start: Start) -> None:
    execution = start(s4e(ask("q", on_success="b"), say("b", on_success="end")))
    advance(execution, "start")
    answer(asked(execution, "q"))

    assert context(execution)["steps"]["q"]["status"] == "completed"


def test_parameters_of_a_start_replace_those_of_every_step_that_has_them(tenant: Any) -> None:
    from core.actors import SYSTEM
    from tests.factories import NOON

    parameters = {"path": "{{ finding.path }}", "method": "GET"}
    version = store_workflow(tenant, s4e(say("a", on_success="b", parameters=parameters), say("b", on_success="end")))
    inputs = {"parameters": {"path": "/p"}, "overrides": {"path": "/p {{ not.a.template }}"}, "finding": {}}
    execution = start_execution(tenant=tenant, version=version, inputs=inputs, actor=SYSTEM, now=NOON)
    advance(execution, "start")

    [call] = calls_of(claim(execution, "a"))
    assert call.arguments == {"path": "/p {{ not.a.template }}", "method": "GET"}
    record_a(execution)
    [call] = calls_of(claim(execution, "b"))
    assert call.arguments == {}


def record_a(execution: Execution) -> None:
    from executions.services.claiming import claimed_before
    from executions.turn import turn_of

    with turn_of(execution.pk) as turn:
        assert turn is not None
        work = claimed_before(turn, worker="w1", asked_at=0)
    assert work is not None
    record(work)


def test_a_path_that_leads_nowhere_fails_the_step_by_name(start: Start) -> None:
    execution = start(s4e(say("a", on_success="end", parameters={"path": "{{ finding.title }}"})))
    advance(execution, "start")
    from executions.tasks import run_from

    run_from(run_of(execution, "a").pk)

    assert state(execution) == ("failed", "undefined_variable")
    assert "finding.title" in run_of(execution, "a").message
