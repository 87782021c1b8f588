"""What follows is opened and claimed in the commit that records a step, unless a gate is shut over it."""

from __future__ import annotations

import pytest

from accounts.models import Tenant
from executions.models import Execution, StepRun
from executions.services import set_cap
from executions.services.claiming import Work
from executions.services.recording import record_outcome
from executions.tasks import run_from
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import DONE, attempts, claim, events, post, run_of, state
from tests.executions.gating import LEAD, lift, switch_on
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start

pytestmark = pytest.mark.django_db(transaction=True)

TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")


def carry_on(work: Work) -> Work | None:
    return record_outcome(work=work, performed=DONE, carry_on=True)


def at_a(start: Start) -> tuple[Execution, Work]:
    execution = start(TWO)
    work = carry_on(claim(execution, "start"))
    assert work is not None
    return execution, work


def test_the_next_step_is_claimed_as_it_is_opened_and_its_events_tell_of_both(start: Start) -> None:
    execution, _ = at_a(start)

    run = run_of(execution, "a")
    assert (run.status, run.fence, run.worker, run.publications) == ("running", 1, "w1", 0)
    assert run.lease_until is not None
    assert run.started_at is not None
    assert attempts(execution, "a") == [""]
    assert events(execution)[-2:] == ["step.pending", "step.claimed"]
    check_history(execution)


def test_the_work_is_the_same_as_by_a_claim_of_its_own(start: Start) -> None:
    _, carried = at_a(start)
    other = start(TWO)
    record_outcome(work=claim(other, "start"), performed=DONE, carry_on=False)
    claimed = claim(other, "a")

    assert carried.step == claimed.step
    assert carried.facts.scope("") is not None
    given = {"id", "execution_id", "scope_id", "deadline_at"}
    for field in StepRun._meta.fields:
        name = field.attname
        if name not in given and hasattr(carried.run, name):
            assert getattr(carried.run, name) == getattr(claimed.run, name), name


def test_under_a_switch_it_is_opened_and_nobody_has_it(start: Start, tenant: Tenant) -> None:
    execution, work = at_a(start)
    switch = switch_on(tenant, "tenant", blocks_reads=True)

    assert carry_on(work) is None
    run = run_of(execution, "b")
    assert (run.status, run.fence, run.worker, run.lease_until) == ("pending", 0, None, None)
    assert attempts(execution, "b") == []
    assert events(execution)[-1] == "step.pending"

    lift(switch)
    carry_on(claim(execution, "b"))
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_under_a_cap_it_takes_the_place_that_has_become_free(start: Start, tenant: Tenant) -> None:
    execution, work = at_a(start)
    set_cap(tenant=tenant, kind="tenant", most=1, value="", actor=LEAD, now=NOON)

    following = carry_on(work)
    assert following is not None
    assert following.run.id == run_of(execution, "b").pk
    check_history(execution)


def test_under_a_full_cap_it_waits(start: Start, tenant: Tenant) -> None:
    execution, work = at_a(start)
    at_a(start)
    set_cap(tenant=tenant, kind="tenant", most=1, value="", actor=LEAD, now=NOON)

    assert carry_on(work) is None
    assert run_of(execution, "b").status == "pending"
    check_history(execution)


def test_one_nudge_carries_an_execution_to_its_end(start: Start, effects: Server) -> None:
    execution = start(flow(post("p", on_success="q"), post("q"), end(), first="p"))
    run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"
    assert [attempts(execution, step) for step in ("p", "q")] == [["completed"], ["completed"]]
    check_history(execution)
