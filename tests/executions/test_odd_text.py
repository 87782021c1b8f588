"""Names, outputs and keys with characters that something on the way could trip over."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Outcome, OutcomeKind, completed
from executions.engine.apart import whole
from executions.models import Attempt, Scope, StepRun
from executions.performed import Performed
from executions.selectors import final_variables, result_of
from playbooks.cacao.types import Step, StepType, Variable
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, attempts, claim, record, run_of, state
from tests.executions.histories import check_history
from tests.flows.starting import Start

ODD = [
    "a/b",
    "a.b",
    "a#1",
    "a|b",
    "a b",
    "ä-☃-𝄞",
    "%2F",
    "'; DROP TABLE x; --",
    '"',
    "\\",
    "{}",
    "__x__:value",
    "%s",
    "exception",
]


@pytest.mark.parametrize("name", ODD)
def test_a_step_may_be_called_anything(start: Start, name: str) -> None:
    fork = Step(id=name, type=StepType.PARALLEL, next_steps=(f"1{name}", f"2{name}"), on_success="end")
    execution = start(flow(fork, act(f"1{name}"), act(f"2{name}"), end(), first=name))
    advance(execution, "start", f"1{name}", f"2{name}")

    assert state(execution)[0] == "completed"
    assert run_of(execution, name).status == "completed"
    check_history(execution)


@pytest.mark.parametrize("key", [key for key in ODD if key != "__x__:value"])
def test_a_case_may_have_any_key(start: Start, key: str) -> None:
    switch = Step(id="s", type=StepType.SWITCH, switch="__x__", cases={key: "a", "other": "b"}, on_success="end")
    workflow = flow(switch, act("a"), act("b"), end(), first="s", variables={"__x__": Variable("__x__", value=key)})
    execution = start(workflow)
    advance(execution, "start", "a")

    assert state(execution)[0] == "completed"
    assert Scope.objects.get(execution=execution, opener_step="s").key == key


def test_names_that_look_alike_once_they_are_joined_are_different_scopes(start: Start) -> None:
    """``a`` with the branch ``b.c`` against ``a.b`` with the branch ``c``."""
    variables = {"__x__": Variable("__x__", value="b.c"), "__y__": Variable("__y__", value="c")}
    first = Step(id="a", type=StepType.SWITCH, switch="__x__", cases={"b.c": "same"}, on_success="a.b")
    second = Step(id="a.b", type=StepType.SWITCH, switch="__y__", cases={"c": "same"}, on_success="end")
    execution = start(flow(first, second, act("same"), end(), first="a", variables=variables))
    advance(execution, "start", "same", "same")

    assert state(execution)[0] == "completed"
    assert StepRun.objects.filter(execution=execution, step_id="same").count() == 2


@pytest.mark.parametrize(
    ("output", "stored"),
    [
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a?b"),
        ({"k\x00": ["\x00", {"x": float("nan")}]}, {"k\ufffd": ["\ufffd", {"x": "nan"}]}),
        (10**400, 10**400),
        ("x" * (4 * 1024 * 1024), "x" * (4 * 1024 * 1024)),
        ("%s {} \\u0000 '", "%s {} \\u0000 '"),
    ],
    ids=["nul", "surrogate", "nested", "huge number", "four megabytes", "escapes"],
)
def test_an_output_is_kept_whatever_it_holds(start: Start, output: Any, stored: Any) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    record(claim(execution, "a"), Performed(completed(output, stderr="e\x00")))

    assert state(execution)[0] == "completed"
    result = result_of(run_of(execution, "a"))
    assert (whole(result["output"]), result["stderr"]) == (stored, "e\ufffd")


def test_a_variable_takes_no_value_that_cannot_be_stored(start: Start) -> None:
    workflow = flow(
        act("a", on_success="end", out_args=("__o__",)), end(), first="a", variables={"__o__": Variable("__o__")}
    )
    execution = start(workflow)
    advance(execution, "start")
    record(claim(execution, "a"), Performed(completed("a\x00b\n"), effect_class="unsafe", is_intended=True))

    assert state(execution) == ("failed", "output_invalid")
    assert run_of(execution, "a").effect == "applied"
    assert final_variables(execution) == {"__o__": None}


def test_a_message_and_a_code_may_hold_anything_too(start: Start) -> None:
    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start")
    outcome = Outcome(OutcomeKind.FAILED, code="c" * 200, message="m\x00\ud800" * 3, sent=False, retry=False)
    record(
        claim(execution, "a"),
        Performed(outcome, calls=({"message": "\x00", "sent": False, "outcome": "failed", "effect_class": "read"},)),
    )

    assert state(execution) == ("failed", "command_failed")
    assert attempts(execution, "a") == ["failed"]
    assert Attempt.objects.get(step_run=run_of(execution, "a")).message == "m\ufffd?" * 3
