"""Votes that meet each other, the deadline, a cancel, and a change of what is approved (I14, I15)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

import pytest

from accounts.models import Tenant
from core.actors import SYSTEM, Actor
from executions.services import cancel_execution
from executions.services.sweeping import expire_step_run
from manual.models import ManualRequest, Vote
from manual.services import RequestGone
from playbooks.cacao.types import Question, QuestionKind, Step, StepType
from tests.connectors.servers import Server, ledger
from tests.engine.test_decide import end, flow
from tests.executions.acting import advance, asked, change, connect, events, run_of, state
from tests.executions.approvers import person, policy, run, through_key, vote, waiting
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start
from tests.races.racing import ROUNDS, racers, staggered, until_both_win

ASKING = flow(
    Step(id="q", type=StepType.ACTION, question=Question(QuestionKind.APPROVAL, "Go on?"), on_success="end"),
    end(), first="q",
)  # fmt: skip


@pytest.fixture
def crowd(tenant: Tenant) -> list[Actor]:
    return [person(tenant, f"voter-{number}") for number in range(20)]


def open_request(start: Start) -> tuple[Any, ManualRequest]:
    execution = start(ASKING)
    advance(execution, "start")
    return execution, asked(execution, "q")


def test_twenty_votes_of_one_person_are_one(tenant: Tenant, start: Start, crowd: list[Actor]) -> None:
    policy(tenant, covers="approval_steps", votes=2)
    ada, key = crowd[0], through_key(crowd[0])
    with racers(20) as threads:
        for _ in range(ROUNDS // 5):
            execution, request = open_request(start)
            told = threads.run([partial(vote, request, ada if number % 2 else key) for number in range(20)])

            assert [found.status for found in told] == ["open"] * 20
            assert Vote.objects.filter(request=request).count() == 1
            assert run_of(execution, "q").status == "waiting"


def test_of_twenty_votes_the_one_that_is_enough_decides_once(tenant: Tenant, start: Start, crowd: list[Actor]) -> None:
    policy(tenant, covers="approval_steps", votes=3)
    with racers(20) as threads:
        for _ in range(ROUNDS // 5):
            execution, request = open_request(start)
            told = threads.run([partial(vote, request, by) for by in crowd])

            counted = [found for found in told if isinstance(found, ManualRequest)]
            assert sorted(found.status for found in counted) == ["answered", "open", "open"]
            assert sum(isinstance(found, RequestGone) for found in told) == 17
            assert Vote.objects.filter(request=request).count() == 3
            assert events(execution).count("request.answered") == 1
            assert state(execution)[0] == "completed"
            check_history(execution)


def test_a_yes_or_a_no_decides_and_never_both(tenant: Tenant, start: Start, crowd: list[Actor]) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution, request = open_request(start)
            yes, no = partial(vote, request, crowd[0]), partial(vote, request, crowd[1], yes=False)
            told = threads.run(staggered(number, yes, no))

            assert sum(isinstance(found, RequestGone) for found in told) == 1
            [counted] = Vote.objects.filter(request=request)
            assert run_of(execution, "q").status == ("completed" if counted.approves else "failed")
            check_history(execution)
            return "yes" if counted.approves else "no"

        until_both_win(play, "yes", "no")


def test_the_last_vote_counts_or_the_deadline_does(tenant: Tenant, start: Start, crowd: list[Actor]) -> None:
    policy(tenant, covers="approval_steps", votes=2)
    random = Random(5)
    with racers(2) as threads:

        def play(number: int) -> str:
            execution, request = open_request(start)
            run_id = run_of(execution, "q").pk
            vote(request, crowd[0])
            change(run_id, f"deadline_at = clock_timestamp() + interval '{random.random() * 24:.3f} ms'")
            ManualRequest.objects.filter(pk=request.pk).update(deadline_at=run_of(execution, "q").deadline_at)

            def expire() -> None:
                while not expire_step_run(run_id, execution.pk) and run_of(execution, "q").status == "waiting":
                    time.sleep(0.001)

            told, error = threads.run(staggered(number, partial(vote, request, crowd[1]), expire))

            assert error is None
            request.refresh_from_db()
            assert request.status == ("expired" if isinstance(told, RequestGone) else "answered"), told
            assert Vote.objects.filter(request=request).count() == (1 if request.status == "expired" else 2)
            assert run_of(execution, "q").status == ("completed" if request.status == "answered" else "timed_out")
            check_history(execution)
            return request.status

        until_both_win(play, "answered", "expired")


@pytest.fixture
def policed(tenant: Tenant, settings: Any) -> Iterator[Server]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    policy(tenant)
    with ledger() as server:
        connect(tenant, server)
        yield server


def test_a_vote_counts_or_the_cancel_does_and_nothing_is_called(
    start: Start, policed: Server, crowd: list[Actor]
) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = waiting(start)
            request = asked(execution, "p")
            cancels = partial(cancel_execution, execution=execution, actor=SYSTEM, now=NOON)
            told, error = threads.run(staggered(number, partial(vote, request, crowd[0]), cancels))

            assert not isinstance(error, Exception), error
            assert state(execution)[0] == "cancelled"
            assert run_of(execution, "p").status == "cancelled"
            request.refresh_from_db()
            assert request.status == ("cancelled" if isinstance(told, RequestGone) else "answered"), told
            check_history(execution)
            return request.status

        until_both_win(play, "answered", "cancelled")
    assert policed.requests == []


def test_what_was_approved_is_called_or_asked_for_anew_and_never_something_else(
    tenant: Tenant, start: Start, policed: Server, crowd: list[Actor]
) -> None:
    """The connection moves while the approved step is taken up: the call goes to the old place, or waits for votes."""
    with ledger() as other, racers(2) as threads:

        def play(number: int) -> str:
            connect(tenant, policed)
            execution = waiting(start)
            vote(asked(execution, "p"), crowd[0])
            before = len(policed.requests)
            told = threads.run(staggered(number, partial(run, execution), partial(connect, tenant, other)))

            assert not [error for error in told if isinstance(error, Exception)], told
            assert other.requests == []
            found = run_of(execution, "p")
            assert len(policed.requests) - before == (found.status == "completed")
            if found.status == "waiting":
                assert asked(execution, "p").reason == "changed"
            check_history(execution)
            return found.status

        until_both_win(play, "completed", "waiting")
