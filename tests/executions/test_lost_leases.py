"""A worker is gone: what the sweep makes of its step, by effect class (EXECUTION-SEMANTICS 7, S10, S11, S20)."""

from __future__ import annotations

import logging

import pytest

from executions.models import Execution
from executions.services.sweeping import look_for_orphans, sweep_once
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    advance,
    attempts,
    change,
    claim,
    events,
    lose,
    one_step,
    open_reviews,
    post,
    record,
    run_of,
    state,
)
from tests.executions.histories import check_history
from tests.flows.starting import Start

ONE = flow(act("a", on_success="end"), end(), first="a")


def begun(start: Start) -> Execution:
    execution = start(ONE)
    advance(execution, "start")
    return execution


def lose_after_intent(execution: Execution, effect_class: str, **more: str) -> None:
    """The worker dies after it has committed its intent."""
    work = claim(execution, "a")
    columns = {"intent_fence": "fence", "effect": "'intended'", "effective_class": f"'{effect_class}'", **more}
    change(work.run.id, ", ".join(f"{name} = {value}" for name, value in columns.items()))
    lose(work)
    sweep_once()


def test_a_step_whose_worker_had_no_intent_is_due_again(start: Start) -> None:
    execution = begun(start)
    lose(claim(execution, "a"))

    sweep_once()

    run = run_of(execution, "a")
    assert (run.status, run.fence, run.lost_attempts, run.published_at) == ("pending", 1, 1, None)
    assert attempts(execution, "a") == ["lost"]
    assert open_reviews(execution) == []
    advance(execution, "a")
    assert state(execution)[0] == "completed"
    assert run_of(execution, "a").lost_attempts == 0
    check_history(execution)


@pytest.mark.parametrize("effect_class", ["keyed", "idempotent", "probe"])
def test_a_step_that_may_be_repeated_or_asked_for_is_due_again(start: Start, effect_class: str) -> None:
    execution = begun(start)
    lose_after_intent(execution, effect_class)

    run = run_of(execution, "a")
    assert (run.status, run.effect) == ("pending", "intended")
    assert open_reviews(execution) == []


def test_an_unsafe_step_is_put_to_a_person_and_holds_its_branch(start: Start) -> None:
    execution = begun(start)
    lose_after_intent(execution, "unsafe", note="note || '{\"call_seconds\": 120}'")

    run = run_of(execution, "a")
    assert (run.status, run.effect, run.reason) == ("uncertain", "unknown", "no_answer")
    assert len(open_reviews(execution)) == 1
    assert state(execution)[0] == "paused"
    assert run.quarantine_until is not None
    assert 100 < (run.quarantine_until - execution.created_at).total_seconds() < 180
    check_history(execution)


def test_a_keyed_step_whose_key_has_run_out_counts_as_unsafe(start: Start) -> None:
    execution = begun(start)
    lose_after_intent(execution, "keyed", class_valid_until="clock_timestamp()")

    assert run_of(execution, "a").status == "uncertain"


def test_with_on_unknown_fail_the_step_fails_and_the_review_is_open_all_the_same(start: Start) -> None:
    execution = start(flow(act("a", on_success="end", on_unknown="fail"), end(), first="a"))
    advance(execution, "start")
    lose_after_intent(execution, "unsafe")

    assert run_of(execution, "a").effect == "unknown"
    assert state(execution) == ("failed", "no_answer")
    assert len(open_reviews(execution)) == 1


def test_three_attempts_lost_in_a_row_fail_the_step_with_an_alarm(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    execution = begun(start)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            lose(claim(execution, "a"))
            sweep_once()

    assert state(execution) == ("failed", "poison")
    assert attempts(execution, "a") == ["lost"] * 3
    assert "alarm.poison" in caplog.text
    check_history(execution)


def test_a_poisonous_step_that_may_have_acted_is_reviewed_too(start: Start) -> None:
    execution = begun(start)
    for _ in range(3):
        lose_after_intent(execution, "keyed")

    assert state(execution) == ("failed", "poison")
    assert run_of(execution, "a").effect == "unknown"
    assert len(open_reviews(execution)) == 1


def test_ten_publications_without_a_claim_fail_the_step(start: Start) -> None:
    execution = begun(start)
    change(
        run_of(execution, "a").pk,
        "publications = 10, published_at = clock_timestamp() - interval '61 s', effect = 'intended', intent_fence = 0",
    )
    sweep_once()

    assert state(execution) == ("failed", "undeliverable")
    assert len(open_reviews(execution)) == 1
    check_history(execution)


def test_a_live_lease_is_left_alone(start: Start) -> None:
    execution = begun(start)
    work = claim(execution, "a")

    assert sweep_once() == 0
    record(work)
    assert state(execution)[0] == "completed"


def test_an_outcome_after_the_lease_was_taken_back_is_a_late_note_and_moves_nothing(start: Start) -> None:
    execution = begun(start)
    late = claim(execution, "a")
    lose(late)
    sweep_once()
    record(late)

    assert run_of(execution, "a").status == "pending"
    assert state(execution)[0] == "running"
    assert events(execution)[-1] == "note.late"

    successor = claim(execution, "a", worker="w2")
    record(late)
    assert run_of(execution, "a").status == "running"
    record(successor)
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_a_late_outcome_after_the_end_changes_nothing_but_its_note(start: Start) -> None:
    execution = begun(start)
    late = claim(execution, "a")
    lose(late)
    sweep_once()
    advance(execution, "a")
    ended_at = run_of(execution, "a").ended_at
    before = state(execution), execution.ended_at
    record(late)

    assert (state(execution), execution.ended_at) == before
    assert run_of(execution, "a").ended_at == ended_at
    assert attempts(execution, "a") == ["lost", "completed"]


def test_no_execution_of_these_is_ever_an_orphan(
    start: Start, effects: Server, caplog: pytest.LogCaptureFixture
) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start", "p")
    Execution.objects.update(created_at="2020-01-01T00:00:00Z")
    with caplog.at_level(logging.ERROR):
        look_for_orphans()

    assert "alarm.orphan" not in caplog.text
