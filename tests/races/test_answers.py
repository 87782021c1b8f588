"""One answer counts (I14)."""

from __future__ import annotations

import time
from functools import partial
from random import Random

from executions.services.sweeping import expire_step_run
from manual.models import ManualRequest
from manual.services import RequestGone
from tests.engine.test_decide import end, flow
from tests.executions.acting import advance, answer, asked, change, events, run_of, state
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.flows.starting import Start
from tests.races.racing import ROUNDS, racers, staggered, until_both_win

ASKING = flow(ask(on_failure="end"), end(), first="q")


def test_of_twenty_answers_one_counts_and_the_others_are_told_so(start: Start) -> None:
    with racers(20) as threads:
        for _ in range(ROUNDS // 3):
            execution = start(ASKING)
            advance(execution, "start")
            request = asked(execution, "q")
            told = threads.run([partial(answer, request, success=number % 2 == 0) for number in range(20)])

            won = [found for found in told if isinstance(found, ManualRequest)]
            assert len(won) == 1
            assert all(isinstance(found, RequestGone) for found in told if found is not won[0])
            assert events(execution).count("request.answered") == 1
            assert won[0].answer is not None
            expected = "completed" if won[0].answer["status"] == "success" else "failed"
            assert run_of(execution, "q").status == expected


def test_a_question_is_answered_or_expires(start: Start) -> None:
    random = Random(3)
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(ASKING)
            advance(execution, "start")
            request, run = asked(execution, "q"), run_of(execution, "q").pk
            change(run, f"deadline_at = clock_timestamp() + interval '{random.random() * 12:.3f} ms'")
            ManualRequest.objects.filter(pk=request.pk).update(deadline_at=run_of(execution, "q").deadline_at)

            def expire() -> None:
                while not expire_step_run(run, execution.pk) and run_of(execution, "q").status == "waiting":
                    time.sleep(0.001)

            told, error = threads.run(staggered(number, partial(answer, request), expire))

            assert error is None
            request.refresh_from_db()
            assert request.status == ("expired" if isinstance(told, Exception) else "answered"), told
            assert state(execution)[0] == "completed"
            assert run_of(execution, "q").status == ("completed" if request.status == "answered" else "timed_out")
            check_history(execution)
            return request.status

        until_both_win(play, "answered", "expired")
