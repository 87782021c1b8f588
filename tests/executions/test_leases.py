"""Leases are renewed while something is held, and their holder learns when it has to stop (EXECUTION-SEMANTICS 6.6)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import OperationalError, connection

from core.actors import SYSTEM
from executions import statements
from executions.leases import Holding, LeaseKeeper, renew
from executions.models import StepRun
from executions.services import cancel_execution
from executions.services.claiming import Work
from executions.services.sweeping import sweep_once
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import claim, lose
from tests.factories import NOON
from tests.flows.starting import Start

ONE = flow(act("a", on_success="end"), end(), first="a")


def holding(work: Work, *, lease: float = 30, ago: float = 0) -> Holding:
    return Holding(work.run.id, work.run.fence, asked_at=time.monotonic() - ago, lease=lease)


def lease_of(work: Work) -> Any:
    return StepRun.objects.get(pk=work.run.id).lease_until


def test_a_renewal_prolongs_the_lease_here_and_there(start: Start) -> None:
    work = claim(start(ONE), "start")
    found, before = holding(work, ago=15), lease_of(work)
    renew([found])

    assert lease_of(work) > before
    assert found.good_until > time.monotonic() + 29
    assert not found.is_set()


def test_a_holder_learns_that_its_lease_is_lost_although_another_one_here_holds_the_step(start: Start) -> None:
    execution = start(ONE)
    old = claim(execution, "start")
    lose(old)
    sweep_once()
    new = claim(execution, "start", worker="w2")
    first, second = holding(old), holding(new)
    renew([first, second])

    assert (first.is_set(), first.why) == (True, "the lease is lost")
    assert not second.is_set()


def test_a_holder_learns_of_a_stop(start: Start) -> None:
    execution = start(ONE)
    found = holding(claim(execution, "start"))
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
    renew([found])

    assert (found.is_set(), found.why) == (True, "the execution is stopping")
    assert not found.has_time_left()


@pytest.mark.parametrize(("ago", "stops", "may_send"), [(5, False, True), (21, True, True), (31, True, False)])
def test_a_holder_stops_when_no_renewal_came_for_two_thirds_of_its_lease(
    start: Start, ago: float, stops: bool, may_send: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError

    found = holding(claim(start(ONE), "start"), ago=ago)
    monkeypatch.setattr(statements, "renew", away)
    monkeypatch.setattr(connection, "close", lambda: None)
    renew([found])

    assert (found.is_set(), found.has_time_left()) == (stops, may_send)


def test_who_lets_go_of_an_old_fence_does_not_let_go_of_a_new_one(start: Start, settings: Any) -> None:
    execution = start(ONE)
    old = claim(execution, "start")
    lose(old)
    sweep_once()
    new = claim(execution, "start", worker="w2")
    keeper = LeaseKeeper()
    keeper._keep = lambda: None  # type: ignore[method-assign]
    with keeper.hold(new.run.id, new.run.fence, asked_at=new.asked_at) as held:
        with keeper.hold(old.run.id, old.run.fence, asked_at=old.asked_at):
            pass
        assert list(keeper._held.values()) == [held]
    assert keeper._held == {}


def test_a_lease_counts_from_before_the_database_was_asked(start: Start) -> None:
    before = time.monotonic()
    work = claim(start(ONE), "start")

    assert before < work.asked_at < time.monotonic()
    assert work.time_left().total_seconds() > 0
