"""One table of moves: what the code writes is in it, and what the database holds came by it (ruling 5, I2, I3)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction

import executions
from executions.engine.statuses import (
    EXECUTION_MOVES,
    FINAL_EXECUTION,
    FINAL_STEP,
    LIVE_EXECUTION,
    LIVE_STEP,
    STEP_MOVES,
    IllegalMove,
    StepStatus,
    check_execution_move,
    check_step_move,
)
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, run_of
from tests.flows.starting import Start

ROOT = Path(executions.__file__).parent


def calls_of(name: str) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Each call of a function in the code of executions: where it stands, and its keyword arguments."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and isinstance(called, ast.Attribute) and called.attr == name:
                yield f"{path.name}:{node.lineno}", {word.arg: word.value for word in node.keywords if word.arg}


def literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def test_every_move_that_is_written_out_in_the_code_is_legal() -> None:
    found = []
    for where, given in calls_of("move_step_run"):
        olds, new = literal(given["old"]), literal(given["new"])
        if isinstance(olds, tuple) and isinstance(new, str):
            found.append(where)
            for old in olds:
                check_step_move(old, new)
    assert len(found) >= 5


def test_every_outcome_of_an_attempt_that_is_written_out_is_legal() -> None:
    words = [literal(given["status"]) for _, given in calls_of("write_outcome")]
    found = [word for word in words if isinstance(word, str)]

    assert len(found) >= 5
    for word in found:
        check_step_move("running", word)


def test_what_is_final_has_no_way_out() -> None:
    assert not FINAL_STEP & STEP_MOVES.keys()
    assert not FINAL_EXECUTION & EXECUTION_MOVES.keys()
    assert STEP_MOVES.keys() == LIVE_STEP
    assert EXECUTION_MOVES.keys() == LIVE_EXECUTION


def test_every_live_state_can_reach_an_end() -> None:
    for status in LIVE_STEP:
        assert StepStatus.CANCELLED in STEP_MOVES[status]
    for live in LIVE_EXECUTION:
        assert {"failed", "cancelled"} <= EXECUTION_MOVES[live]


@pytest.mark.parametrize(("old", "new"), [("completed", "running"), ("failed", "pending"), ("cancelled", "completed")])
def test_a_move_from_an_end_is_a_bug_that_is_told(old: str, new: str) -> None:
    with pytest.raises(IllegalMove):
        check_step_move(old, new)


def test_an_execution_does_not_begin_twice() -> None:
    with pytest.raises(IllegalMove):
        check_execution_move("running", "pending")


def test_the_watch_over_moves_sees_what_is_illegal(start: Start) -> None:
    """Without this the triggers of ``legal_moves`` could be blind."""
    from executions.models import Execution, StepRun

    execution = start(flow(act("a", on_success="end"), end(), first="a"))
    advance(execution, "start", "a")
    run = run_of(execution, "a")
    with pytest.raises(DatabaseError, match="completed to pending"), transaction.atomic():
        StepRun.objects.filter(pk=run.pk).update(status="pending", ended_at=None)
    with pytest.raises(DatabaseError, match="completed to running"), transaction.atomic():
        Execution.objects.filter(pk=execution.pk).update(status="running", ended_at=None)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "running"},
        {"status": "completed"},
        {"status": "somewhere"},
        {"effect": "perhaps"},
        {"intent_fence": 7},
    ],
)
def test_the_database_refuses_rows_that_cannot_be(start: Start, columns: dict[str, object]) -> None:
    from executions.models import StepRun

    execution = start(flow(end(), first="end"))
    with pytest.raises(DatabaseError), transaction.atomic():
        StepRun.objects.filter(execution=execution).update(**columns)
