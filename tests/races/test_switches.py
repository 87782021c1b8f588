"""A switch against intents, and a cap against claims: with threads, real commits, and both orders met."""

from __future__ import annotations

import threading
import time
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Tenant
from executions import statements
from executions.gate_models import Switch
from executions.models import Execution, StepRun
from executions.services import set_cap
from executions.services.claiming import Work, claim_step
from executions.switches import LOCK_OUT_INTENTS
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, claim, record, run_of
from tests.executions.gating import LEAD, lift, switch_on
from tests.factories import NOON
from tests.flows.starting import Start
from tests.races.racing import racers, staggered, until_both_win

ONE = flow(act("a", on_success="end"), end(), first="a")
NEEDS = ("connector:http", "effect_class:unsafe", "effects")


def at_act(start: Start) -> Work:
    execution = start(ONE)
    advance(execution, "start")
    return claim(execution, "a")


def intend(work: Work) -> tuple[bool, float]:
    began_at = time.perf_counter()
    span = work.time_left()
    noted = statements.note_intent(
        work.run, effect_class="unsafe", valid_for=None, call_limit=span, lease=span, needs=NEEDS
    )
    return noted is not None, began_at


def test_no_intent_follows_a_switch(start: Start, tenant: Tenant) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            work = at_act(start)

            def switch() -> tuple[Switch, float]:
                found = switch_on(tenant, "connector", "http")
                return found, time.perf_counter()

            noted, switched = threads.run(staggered(number, partial(intend, work), switch))

            assert not isinstance(noted, Exception), noted
            assert not isinstance(switched, Exception), switched
            (is_noted, began_at), (found, set_at) = noted, switched
            assert not (is_noted and began_at > set_at), "an intent that began after the switch was committed"
            assert not intend(work)[0]
            lift(found)
            assert intend(work)[0], "nothing is lost"
            return "intent" if is_noted else "switch"

        until_both_win(play, "intent", "switch")


def waiters() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'executions_switch'::regclass")
        return int(cursor.fetchone()[0])


def until_somebody_waits() -> None:
    until = time.monotonic() + 20
    while waiters() == 0:
        assert time.monotonic() < until, "nobody waits for the lock"
        time.sleep(0.005)


def in_thread(act: partial[tuple[bool, float]], kept: list[bool]) -> threading.Thread:
    def run() -> None:
        kept.append(act()[0])
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_an_intent_that_meets_an_uncommitted_switch_waits_and_then_sees_it(start: Start, tenant: Tenant) -> None:
    """The one order in which a snapshot taken too early would let a call through."""
    work = at_act(start)
    intend(work)  # prepares the statement
    kept: list[bool] = []
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK_OUT_INTENTS)
        Switch.objects.create(
            tenant=tenant, kind="connector", value="http", reason="a drill", set_by="operator", set_at=NOON
        )
        thread = in_thread(partial(intend, work), kept)
        until_somebody_waits()
        assert kept == []
    thread.join(20)

    assert kept == [False]


def test_a_switch_waits_for_the_intent_that_came_first(start: Start, tenant: Tenant) -> None:
    work = at_act(start)
    kept: list[bool] = []

    def switch() -> tuple[bool, float]:
        return switch_on(tenant, "connector", "http").is_on, 0.0

    with transaction.atomic():
        assert intend(work)[0]
        thread = in_thread(partial(switch), kept)
        until_somebody_waits()
        assert kept == []
    thread.join(20)

    assert kept == [True]


def test_reading_the_switches_holds_up_nobody(start: Start, tenant: Tenant) -> None:
    """A backup reads this table for hours."""
    kept: list[bool] = []

    def switch() -> tuple[bool, float]:
        return switch_on(tenant, "connector", "http").is_on, 0.0

    with transaction.atomic():
        assert list(Switch.objects.all()) == []
        in_thread(partial(switch), kept).join(20)
        assert kept == [True]


def test_of_sixteen_claims_no_more_pass_than_the_cap_allows(start: Start, tenant: Tenant) -> None:
    most = 3
    set_cap(tenant=tenant, kind="tenant", most=most, actor=LEAD, now=NOON)
    with racers(16) as threads:
        executions = [start(ONE) for _ in range(16)]
        left = [run_of(execution, "start").pk for execution in executions]
        for _ in range(6):
            won = _claimed(threads.run([partial(_claim, run) for run in (left * 16)[:16]]))
            assert len(won) == most
            assert StepRun.objects.filter(status="running").count() == most
            for work in won:
                record(work)
            left = [run for run in left if run not in {work.run.id for work in won}] or left
            if len(left) < most:
                break


def _claim(run: UUID) -> Work | None:
    return claim_step(step_run_id=run, worker=f"w{threading.get_ident()}")


def _claimed(found: list[object]) -> list[Work]:
    assert not [error for error in found if isinstance(error, Exception)], found
    return [work for work in found if isinstance(work, Work)]


def test_the_last_place_is_taken_by_one_or_the_other(start: Start, tenant: Tenant) -> None:
    set_cap(tenant=tenant, kind="tenant", most=1, actor=LEAD, now=NOON)
    with racers(2) as threads:

        def play(number: int) -> str:
            pair: list[Execution] = [start(ONE), start(ONE)]
            first, second = (partial(_claim, run_of(execution, "start").pk) for execution in pair)
            found = threads.run(staggered(number, first, second))
            won = _claimed(found)
            assert len(won) == 1
            assert StepRun.objects.filter(status="running").count() == 1
            record(won[0])
            for execution in pair:
                _end(execution)
            return "first" if found[0] is won[0] else "second"

        until_both_win(play, "first", "second")


def _end(execution: Execution) -> None:
    for step in ("start", "a"):
        run = run_of(execution, step)
        if run.status == "pending":
            work = _claim(run.pk)
            assert work is not None, "a place is free again"
            record(work)
