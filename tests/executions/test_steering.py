"""Pause, resume and cancel (EXECUTION-SEMANTICS 9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.base import Outcome, OutcomeKind, failed
from core.actors import SYSTEM
from executions.models import Execution, StepRun
from executions.performed import Performed
from executions.services import ExecutionEnded, cancel_execution, pause_execution, resume_execution
from executions.services.claiming import claim_step
from executions.services.handing_back import hand_back
from executions.services.sweeping import sweep_once
from manual.models import ManualRequest
from playbooks.cacao.types import Question, QuestionKind, Step, StepType, Workflow
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    advance,
    asked,
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
    statuses,
)
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start

Steer = Callable[..., Execution]
TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")


def pause(execution: Execution) -> Execution:
    return pause_execution(execution=execution, actor=SYSTEM, now=NOON)


def resume(execution: Execution) -> Execution:
    return resume_execution(execution=execution, actor=SYSTEM, now=NOON)


def cancel(execution: Execution) -> Execution:
    return cancel_execution(execution=execution, actor=SYSTEM, now=NOON)


def ask(name: str, **more: object) -> Step:
    return Step(id=name, type=StepType.ACTION, question=Question(QuestionKind.INPUT, "?"), **more)  # type: ignore[arg-type]


def test_what_is_held_is_not_claimed_and_what_runs_is_recorded(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")

    assert pause(execution).status == "paused"
    record(work)

    assert statuses(execution) == {"a": "completed", "b": "pending"}
    assert claim_step(step_run_id=run_of(execution, "b").pk, worker="w") is None
    assert state(execution)[0] == "paused"
    assert resume(execution).status == "running"
    advance(execution, "b")
    assert state(execution) == ("completed", "")
    check_history(execution)


def test_an_execution_that_has_not_begun_can_be_held_and_goes_back_to_pending(start: Start) -> None:
    execution = start(TWO)

    assert pause(execution).status == "paused"
    assert claim_step(step_run_id=run_of(execution, "start").pk, worker="w") is None
    assert resume(execution).status == "pending"
    advance(execution, "start", "a", "b")
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_pause_and_resume_may_be_said_twice(start: Start) -> None:
    execution = start(TWO)
    held_at = pause(execution).held_at

    assert pause(execution).held_at == held_at
    assert events(execution).count("execution.paused") == 1
    resume(execution)
    assert resume(execution).held_at is None


def test_an_execution_that_waits_for_a_person_stays_paused_when_its_hold_is_lifted(start: Start) -> None:
    execution = start(flow(ask("q", on_success="end"), end(), first="q"))
    advance(execution, "start")
    assert state(execution)[0] == "paused"
    pause(execution)

    assert resume(execution).status == "paused"
    check_history(execution)


def test_what_was_published_in_vain_while_held_is_due_for_publication_at_once(start: Start) -> None:
    execution = start(TWO)
    change(run_of(execution, "start").pk, "published_at = clock_timestamp(), publications = 4")
    pause(execution)
    resume(execution)

    run = run_of(execution, "start")
    assert (run.published_at, run.publications) == (None, 0)


@pytest.mark.parametrize("steer", [pause, resume, cancel])
def test_an_execution_that_has_ended_is_not_steered_any_more(start: Start, steer: Steer) -> None:
    execution = start(flow(end(), first="end"))
    advance(execution, "start")

    with pytest.raises(ExecutionEnded, match="completed"):
        steer(execution)
    assert state(execution)[0] == "completed"


def test_cancel_ends_everything_that_does_not_run(start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "q"), on_success="end")
    execution = start(flow(fork, act("a"), ask("q"), end(), first="fork"))
    advance(execution, "start")
    request = asked(execution, "q")

    assert cancel(execution).status == "cancelled"
    assert set(statuses(execution).values()) == {"cancelled"}
    assert ManualRequest.objects.get(pk=request.pk).status == "cancelled"
    assert run_of(execution, "a").started_at is None, "what never ran has not started"
    check_history(execution)


def test_a_running_attempt_is_recorded_as_what_it_was_and_starts_nothing(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")

    assert cancel(execution).status == "running"
    record(work)

    assert state(execution) == ("cancelled", "cancelled")
    assert statuses(execution) == {"a": "completed"}
    check_history(execution)


@pytest.mark.parametrize(
    "outcome",
    [failed("connect_failed", "no", sent=False), Outcome(OutcomeKind.WAITING), failed("rate_limited", "", sent=True)],
)
def test_while_stopping_there_is_no_retry_and_no_waiting(start: Start, outcome: Outcome) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")
    cancel(execution)
    record(work, Performed(outcome, effect_class="read"))

    assert state(execution)[0] == "cancelled"
    check_history(execution)


def test_a_control_step_that_runs_when_a_stop_is_asked_for_ends_with_its_worker(start: Start) -> None:
    execution = start(TWO)
    work = claim(execution, "start")
    cancel(execution)
    record(work)

    assert state(execution)[0] == "cancelled"
    assert not StepRun.objects.filter(execution=execution, step_id="a").exists()


def test_a_stop_is_asked_for_once_and_keeps_its_reason(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    claim(execution, "a")
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON, reason="first")

    with pytest.raises(ExecutionEnded, match="stopping"):
        cancel_execution(execution=execution, actor=SYSTEM, now=NOON, reason="second")
    execution.refresh_from_db()
    assert execution.stop_reason == "first"


def test_after_the_grace_what_still_runs_loses_its_fence(start: Start, settings: object) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")
    cancel(execution)
    sweep_once()
    assert state(execution)[0] == "running"

    settings.SALLYPORT_STOP_GRACE = settings.SALLYPORT_STOP_GRACE * 0  # type: ignore[attr-defined]
    sweep_once()

    assert state(execution)[0] == "cancelled"
    assert attempts(execution, "a") == ["cancelled"]
    record(work)
    assert statuses(execution) == {"a": "cancelled"}
    assert events(execution)[-1] == "note.late"


@pytest.mark.parametrize("keyed", [True, False])
def test_what_is_stopped_during_its_call_is_put_to_a_person_whatever_its_class(
    start: Start, effects: Server, keyed: bool
) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    work = claim(execution, "p")
    change(
        work.run.id,
        f"intent_fence = fence, effect = 'intended', effective_class = '{'keyed' if keyed else 'unsafe'}'",
    )
    cancel(execution)
    lose(work)
    sweep_once()

    assert state(execution)[0] == "cancelled"
    assert run_of(execution, "p").effect == "unknown"
    assert len(open_reviews(execution)) == 1


def test_a_claim_handed_back_while_stopping_ends_without_a_review(start: Start, effects: Server) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    work = claim(execution, "p")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    cancel(execution)
    hand_back(work)

    assert state(execution)[0] == "cancelled"
    assert (run_of(execution, "p").effect, open_reviews(execution)) == ("none", [])
    check_history(execution)


def test_a_held_execution_can_be_cancelled(start: Start) -> None:
    execution = start(TWO)
    pause(execution)

    assert cancel(execution).status == "cancelled"
    check_history(execution)


def test_a_delay_makes_an_execution_pause_and_go_on_by_itself(start: Start) -> None:
    from datetime import timedelta

    workflow: Workflow = flow(act("a", on_success="end", delay=timedelta(minutes=5)), end(), first="a")
    execution = start(workflow)
    advance(execution, "start")
    assert state(execution)[0] == "paused"

    change(run_of(execution, "a").pk, "due_at = clock_timestamp()")
    sweep_once()

    assert state(execution)[0] == "running"
    advance(execution, "a")
    assert state(execution)[0] == "completed"
    check_history(execution)
