"""Who may act: one worker at a time, and nobody after a pause or a stop (I4, I17, I18)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from core.actors import SYSTEM
from executions import statements
from executions.models import Attempt, Event, StepRun
from executions.services import cancel_execution, pause_execution
from executions.services.carrying import take_up
from executions.services.claiming import Work, claim_step
from executions.services.sweeping import take_back_lost
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, change, claim, run_of
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start
from tests.races.racing import ROUNDS, racers, staggered, until_both_win

ONE = flow(act("a", on_success="end"), end(), first="a")


@pytest.mark.parametrize("claims", [claim_step, take_up])
def test_of_sixteen_workers_one_claims(start: Start, claims: Callable[..., Work | None]) -> None:
    with racers(16) as threads:
        for _ in range(ROUNDS // 2):
            run = run_of(start(ONE), "start").pk
            won = threads.all_at_once(partial(claims, run, worker="w"))

            assert len([found for found in won if found is not None]) == 1
            assert list(Attempt.objects.filter(step_run=run).values_list("number", flat=True)) == [1]


@pytest.mark.parametrize("claim_it", [claim_step, take_up])
def test_no_claim_follows_a_pause(start: Start, claim_it: Callable[..., Work | None]) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(ONE)
            run = run_of(execution, "start").pk
            claims = partial(claim_it, run, worker="w")
            pauses = partial(pause_execution, execution=execution, actor=SYSTEM, now=NOON)
            threads.run(staggered(number, claims, pauses))
            told = list(Event.objects.filter(execution=execution).order_by("seq").values_list("type", flat=True))
            assert told[-1] == "execution.paused", told
            check_history(execution)
            assert claim_step(step_run_id=run, worker="w") is None
            return "claim" if "step.claimed" in told else "pause"

        until_both_win(play, "claim", "pause")


def test_no_intent_follows_a_stop(start: Start) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(ONE)
            advance(execution, "start")
            work = claim(execution, "a")

            def stop() -> float:
                cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
                return time.perf_counter()

            noted, stopped_at = threads.run(staggered(number, partial(intend, work), stop))

            assert not isinstance(noted, Exception)
            assert not isinstance(stopped_at, Exception)
            is_noted, began_at = noted
            assert not (is_noted and began_at > stopped_at), "an intent that began after the stop was committed"
            assert run_of(execution, "a").intent_fence == int(is_noted)
            assert not intend(work)[0]
            return "intent" if is_noted else "stop"

        until_both_win(play, "intent", "stop")


def intend(work: Work) -> tuple[bool, float]:
    began_at = time.perf_counter()
    second = timedelta(seconds=1)
    noted = statements.note_intent(
        work.run, effect_class="unsafe", valid_for=None, call_limit=second, lease=second * 30
    )
    return noted is not None, began_at


def test_a_lease_is_renewed_or_taken_back_and_never_both(start: Start) -> None:
    random = Random(2)
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(ONE)
            work = claim(execution, "start")
            change(work.run.id, f"lease_until = clock_timestamp() + interval '{random.random() * 10:.3f} ms'")
            held = [(work.run.id, work.run.fence)]
            renews = partial(statements.renew, held, lease=timedelta(seconds=30))
            renewed, taken = threads.run(staggered(number, renews, partial(take_back_lost, work.run.id, execution.pk)))
            found = StepRun.objects.get(pk=work.run.id)
            assert bool(renewed) + bool(taken) <= 1
            assert found.status == ("pending" if taken else "running")
            return "taken back" if taken else "kept"

        until_both_win(play, "kept", "taken back")
