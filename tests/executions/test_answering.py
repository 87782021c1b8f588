"""A person's answer moves the step that waits for it (S13, EXECUTION-SEMANTICS 11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.actors import Actor, ActorKind
from executions.models import Execution
from executions.selectors import final_variables
from executions.services.sweeping import sweep_once
from manual.models import ManualRequest
from manual.services import VERDICT, NotYours, RequestGone, ValueRefused
from playbooks.cacao.types import Question, QuestionKind, Step, StepType, Variable
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    OTHER,
    PERSON,
    advance,
    answer,
    asked,
    events,
    pass_deadline,
    run_of,
    state,
    statuses,
)
from tests.executions.histories import check_history
from tests.flows.starting import Start


def question(kind: QuestionKind = QuestionKind.INPUT, **more: Any) -> Question:
    return Question(kind, "Well?", **more)


def ask(name: str = "q", *, kind: QuestionKind = QuestionKind.INPUT, **more: Any) -> Step:
    return Step(id=name, type=StepType.ACTION, question=question(kind), **{"on_success": "end", **more})


def begun(start: Start, *steps: Step, **more: Any) -> Execution:
    execution = start(flow(*steps, end(), first=steps[0].id, **more))
    advance(execution, "start")
    return execution


def test_an_answer_writes_its_values_and_the_flow_goes_on(start: Start) -> None:
    execution = begun(start, ask(out_args=("__n__",)), variables={"__n__": Variable("__n__", type="integer")})
    assert state(execution)[0] == "paused"

    answered = answer(asked(execution, "q"), {"__n__": "+07"})

    assert answered.answered_by == "someone"
    assert state(execution)[0] == "completed"
    assert final_variables(execution) == {"__n__": "7"}
    assert events(execution)[-4:] == ["request.answered", "step.completed", "step.completed", "execution.completed"]
    check_history(execution)


@pytest.mark.parametrize("values", [{}, {"__n__": "seven"}, {"__n__": "7", "__m__": "1"}, {"__n__": None}])
def test_an_answer_that_does_not_fit_is_refused_and_the_request_stays_open(
    start: Start, values: dict[str, Any]
) -> None:
    execution = begun(start, ask(out_args=("__n__",)), variables={"__n__": Variable("__n__", type="integer")})

    with pytest.raises(ValueRefused):
        answer(asked(execution, "q"), values)

    assert asked(execution, "q").status == "open"
    assert state(execution)[0] == "paused"


def test_a_failure_fails_the_step(start: Start) -> None:
    execution = begun(start, ask(on_failure="b"), act("b", on_completion="end"))
    answer(asked(execution, "q"), success=False)

    assert run_of(execution, "q").reason == "command_failed"
    assert statuses(execution) == {"q": "failed", "b": "pending"}
    assert state(execution)[0] == "running"


@pytest.mark.parametrize(("success", "taken", "reason"), [(True, "yes", ""), (False, "no", "rejected")])
def test_an_approval_goes_its_way(start: Start, success: bool, taken: str, reason: str) -> None:
    step = ask(
        kind=QuestionKind.APPROVAL, on_success="yes", on_failure="no", on_failure_reasons=frozenset({"rejected"})
    )
    execution = begun(start, step, act("yes", on_success="end"), act("no", on_success="end"))
    answer(asked(execution, "q"), success=success)

    assert run_of(execution, "q").reason == reason
    assert statuses(execution)[taken] == "pending"


def test_an_approval_that_expires_is_a_failed_step_and_not_a_rejection(start: Start) -> None:
    step = ask(kind=QuestionKind.APPROVAL, on_failure="no", on_failure_reasons=frozenset({"rejected"}))
    execution = begun(start, step, act("no", on_success="end"))
    pass_deadline(execution, "q")
    sweep_once()

    assert state(execution) == ("failed", "timed_out")
    assert statuses(execution) == {"q": "timed_out"}


def test_a_question_expires_and_is_not_answered_any_more(start: Start) -> None:
    execution = begun(start, ask(on_failure="late"), act("late", on_completion="end"))
    request = asked(execution, "q")
    pass_deadline(execution, "q")
    with pytest.raises(RequestGone, match="time to answer is over"):
        answer(request)

    sweep_once()

    assert statuses(execution) == {"q": "timed_out", "late": "pending"}
    assert "request.expired" in events(execution)
    with pytest.raises(RequestGone):
        answer(request)
    check_history(execution)


def test_the_second_answer_is_told_who_was_first(start: Start) -> None:
    execution = begun(start, ask())
    request = asked(execution, "q")
    answer(request)

    with pytest.raises(RequestGone, match="someone"):
        answer(request, by=OTHER, success=False)
    assert state(execution)[0] == "completed"


def test_who_may_not_answer_changes_nothing(start: Start) -> None:
    execution = begun(start, ask())
    stranger = Actor(kind=ActorKind.USER, id="s", name="stranger")

    with pytest.raises(NotYours):
        answer(asked(execution, "q"), by=stranger)
    assert state(execution)[0] == "paused"


def test_an_answer_is_taken_while_the_execution_is_held(start: Start) -> None:
    from core.actors import SYSTEM
    from executions.services import pause_execution
    from tests.factories import NOON

    execution = begun(start, ask(on_success="b"), act("b", on_success="end"))
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    answer(asked(execution, "q"))

    assert statuses(execution) == {"q": "completed", "b": "pending"}
    assert state(execution)[0] == "paused"


@pytest.mark.parametrize(("verdict", "taken"), [("true", "yes"), ("false", "no")])
def test_a_decision_takes_a_branch(start: Start, verdict: str, taken: str) -> None:
    step = Step(
        id="if",
        type=StepType.IF,
        question=question(QuestionKind.DECISION),
        on_true="yes",
        on_false="no",
        on_success="end",
    )
    execution = begun(start, step, act("yes"), act("no"))
    answer(asked(execution, "if"), {VERDICT: verdict})

    assert statuses(execution) == {"if": "waiting", taken: "pending"}
    advance(execution, taken)
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_an_opener_keeps_no_deadline_of_the_question_that_was_answered(start: Start) -> None:
    step = Step(id="if", type=StepType.IF, question=question(QuestionKind.DECISION), on_true="yes", on_success="end")
    execution = begun(start, step, act("yes"))
    assert run_of(execution, "if").deadline_at is not None

    answer(asked(execution, "if"), {VERDICT: "true"})

    assert run_of(execution, "if").deadline_at is None


def test_an_openers_own_time_bounds_its_questions_and_its_branches(start: Start) -> None:
    step = Step(
        id="while", type=StepType.WHILE, question=question(QuestionKind.DECISION), on_true="body", on_success="end",
        timeout=timedelta(minutes=3),
    )  # fmt: skip
    execution = begun(start, step, act("body"))
    own = run_of(execution, "while").deadline_at
    answer(asked(execution, "while"), {VERDICT: "true"})
    assert run_of(execution, "while").deadline_at == own
    advance(execution, "body")

    assert asked(execution, "while").deadline_at == own
    pass_deadline(execution, "while")
    sweep_once()
    assert state(execution) == ("failed", "timed_out")
    check_history(execution)


def test_a_loop_asks_at_each_evaluation(start: Start) -> None:
    step = Step(
        id="while", type=StepType.WHILE, question=question(QuestionKind.DECISION), on_true="body", on_success="end"
    )
    execution = begun(start, step, act("body"))
    for _ in range(2):
        answer(asked(execution, "while"), {VERDICT: "true"})
        advance(execution, "body")
    answer(asked(execution, "while"), {VERDICT: "false"})

    assert state(execution)[0] == "completed"
    assert ManualRequest.objects.filter(execution=execution).count() == 3
    assert run_of(execution, "while").verdict == {"visits": 2}
    check_history(execution)


def test_a_choice_among_keys_takes_that_case(start: Start) -> None:
    from manual.services import CHOICE

    step = Step(
        id="switch", type=StepType.SWITCH, question=question(QuestionKind.CHOICE, choices=("red", "blue")),
        cases={"red": "r", "blue": "b"}, on_success="end",
    )  # fmt: skip
    execution = begun(start, step, act("r"), act("b"))
    with pytest.raises(ValueRefused):
        answer(asked(execution, "switch"), {CHOICE: "green"})
    answer(asked(execution, "switch"), {CHOICE: "blue"})

    assert statuses(execution)["b"] == "pending"


def test_a_question_without_a_value_for_its_reference_is_not_asked(start: Start) -> None:
    step = Step(
        id="q", type=StepType.ACTION, question=Question(QuestionKind.INPUT, "see __x__:value"), on_success="end"
    )
    execution = begun(start, step, variables={"__x__": Variable("__x__")})

    assert state(execution) == ("failed", "unresolved_variable")
    assert not ManualRequest.objects.filter(execution=execution).exists()
    assert PERSON.may("manual:respond")
