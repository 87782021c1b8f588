"""The window of nudges: what is published, when again, and what takes no room (EXECUTION-SEMANTICS 6.2, ruling 34)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from kombu.exceptions import OperationalError

from accounts.models import Tenant
from core.actors import SYSTEM
from executions import dispatching, idle, nodes, queue
from executions.chunks import Chunk, opened
from executions.dispatching import dispatch_due
from executions.models import Execution, StepRun
from executions.queue import Nudge
from executions.services import cancel_execution, pause_execution, resume_execution, start_execution
from executions.services.claiming import claim_step
from executions.services.recording import record_outcome
from executions.services.sweeping import sweep_once
from executions.tasks import run_chunk, run_from
from playbooks.cacao.types import Step, StepType, Workflow
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import DONE, advance, change, claim, lose, run_of, state
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start, make_tenant, start_workflow, store_workflow

ONE = flow(act("a", on_success="end"), end(), first="a")


class Broker:
    """Stands where nudges go to: what was published and not taken. The real one is met in tests/faults."""

    def __init__(self) -> None:
        self.nudges: list[UUID] = []
        self.published: list[Nudge] = []
        self.is_away = False

    def publish(self, nudges: Sequence[Nudge]) -> None:
        if self.is_away:
            raise OperationalError("away")
        self.published += nudges
        self.nudges += [step_run for nudge in nudges for step_run in nudge.step_runs]

    def waiting(self) -> int:
        if self.is_away:
            raise OperationalError("away")
        return len(self.nudges)

    def take_all(self) -> list[UUID]:
        taken, self.nudges = self.nudges, []
        return taken


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, tenant: object) -> Broker:
    found = Broker()
    monkeypatch.setattr(queue, "publish", found.publish)
    monkeypatch.setattr(queue, "waiting", found.waiting)
    nodes.beat("work@one", role="work", slots=2)
    return found


def first_runs(executions: list[Execution]) -> list[UUID]:
    return [run_of(execution, "start").pk for execution in executions]


def age(execution: Execution, seconds: int, *, publications: int = 1) -> None:
    """Let the last publication of the start step lie back."""
    columns = f"published_at = clock_timestamp() - interval '{seconds} s', publications = {publications}"
    change(run_of(execution, "start").pk, columns)


def test_only_a_window_is_published_the_oldest_first(start: Start, broker: Broker) -> None:
    executions = [start(ONE) for _ in range(10)]

    assert dispatch_due() == 2 * dispatching.NUDGES_A_SLOT
    assert broker.nudges == first_runs(executions)[:8]
    assert dispatch_due() == 0

    taken = broker.take_all()
    claim(executions[0], "start")
    assert dispatch_due() == 1
    assert set(broker.nudges).isdisjoint(taken)


def test_without_workers_a_small_window_is_kept_and_nothing_counts(start: Start, broker: Broker) -> None:
    nodes.forget("work@one")
    execution = start(ONE)

    assert dispatch_due() == 1
    assert run_of(execution, "start").publications == 0


def test_what_is_held_or_stops_takes_no_room(start: Start, broker: Broker) -> None:
    for steer in [pause_execution] * 8:
        execution = start(ONE)
        age(execution, 1)
        steer(execution=execution, actor=SYSTEM, now=NOON)
    waiting = [start(ONE) for _ in range(3)]

    assert dispatch_due() == 3
    assert broker.nudges == first_runs(waiting)


def test_what_is_resumed_is_published_at_once(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    broker.take_all()
    assert dispatch_due() == 0

    resume_execution(execution=execution, actor=SYSTEM, now=NOON)
    assert dispatch_due() == 1


def test_a_nudge_that_still_waits_is_not_published_again_however_old(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    age(execution, 3600)

    assert dispatch_due() == 0


def test_a_nudge_that_was_lost_is_published_again_by_age(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    dispatch_due()
    broker.take_all()
    age(execution, 2)
    assert dispatch_due() == 0
    age(execution, 4)
    assert dispatch_due() == 1
    broker.take_all()
    age(execution, 4, publications=2)
    assert dispatch_due() == 0


def test_no_more_is_published_again_than_is_missing(start: Start, broker: Broker) -> None:
    executions = [start(ONE) for _ in range(4)]
    dispatch_due()
    broker.nudges.pop(0)
    for execution in executions:
        age(execution, 10)

    assert dispatch_due() == 1


def test_an_old_counter_does_not_break_the_dispatcher(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    age(execution, 61, publications=30_000)

    assert dispatch_due() == 1


def test_lost_work_goes_before_fresh_starts(start: Start, broker: Broker) -> None:
    fresh = start(ONE)
    lost = start(ONE)
    lose(claim(lost, "start"))
    sweep_once()
    dispatch_due()

    assert broker.nudges == first_runs([lost, fresh])


def test_what_has_begun_goes_before_what_has_not(start: Start, broker: Broker) -> None:
    fresh, begun = start(ONE), start(ONE)
    advance(begun, "start")
    dispatch_due()

    assert broker.nudges == [run_of(begun, "a").pk, run_of(fresh, "start").pk]


def test_what_could_not_be_published_is_due_for_publication_still(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    broker.is_away = True
    assert dispatch_due() == 0
    assert (run_of(execution, "start").published_at, run_of(execution, "start").publications) == (None, 0)

    broker.is_away = False
    assert dispatch_due() == 1


def test_what_ends_is_not_published(start: Start, broker: Broker) -> None:
    execution = start(ONE)
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)

    assert dispatch_due() == 0


# -- between tenants


def claim_next(broker: Broker) -> UUID:
    """Take the nudge that a worker would take, what goes ahead first, and claim what it names first."""
    ahead = next((nudge for nudge in broker.published if nudge.goes_ahead), None)
    nudge = ahead or broker.published[0]
    broker.published.remove(nudge)
    assert claim_step(step_run_id=nudge.step_runs[0], worker=f"w-{nudge.step_runs[0]}") is not None
    return nudge.step_runs[0]


def tenants_of(step_runs: list[UUID]) -> list[UUID]:
    found = dict(StepRun.objects.filter(pk__in=step_runs).values_list("pk", "tenant_id"))
    return [found[step_run] for step_run in step_runs]


def test_ten_steps_of_one_tenant_are_among_the_next_claims_beside_a_backlog_of_another(
    start: Start, broker: Broker
) -> None:
    firehose, small = make_tenant(), make_tenant()
    for _ in range(200):
        start_workflow(firehose, ONE)
    dispatch_due()
    for _ in range(4):
        claim_next(broker)
        dispatch_due()
    theirs = {run_of(start_workflow(small, ONE), "start").pk for _ in range(10)}

    claimed = []
    for _ in range(30):
        dispatch_due()
        claimed.append(claim_next(broker))

    assert theirs <= set(claimed[:20])
    assert len(set(claimed) - theirs) == 20, "the other one goes on as well"


def test_tenants_are_served_by_their_weight(start: Start, broker: Broker, tenant: Tenant) -> None:
    heavy, light = make_tenant(), make_tenant()
    Tenant.objects.filter(pk=heavy.pk).update(dispatch_weight=3)
    for _ in range(40):
        start_workflow(light, ONE)
        start_workflow(heavy, ONE)
    dispatch_due()
    claimed = []
    for _ in range(24):
        claimed.append(claim_next(broker))
        dispatch_due()

    served = Counter(tenants_of(claimed))
    assert 2 <= served[heavy.pk] / served[light.pk] <= 4


def test_a_full_window_of_one_tenant_keeps_lost_work_of_another_out_of_nothing(start: Start, broker: Broker) -> None:
    lost = start_workflow(make_tenant(), ONE)
    work = claim(lost, "start")
    for _ in range(30):
        start(ONE)
    dispatch_due()
    lose(work)
    sweep_once()

    assert dispatch_due() == 1
    assert broker.published[-1] == Nudge((run_of(lost, "start").pk,), goes_ahead=True)


def test_fresh_starts_of_playbooks_take_turns(start: Start, broker: Broker, tenant: Tenant) -> None:
    first, second = store_workflow(tenant, ONE), store_workflow(tenant, ONE)
    for version in [first] * 20 + [second] * 4:
        start_execution(tenant=tenant, version=version, inputs={}, actor=SYSTEM, now=NOON)
    dispatch_due()

    playbooks = StepRun.objects.filter(pk__in=broker.nudges).values_list("execution__playbook_id", flat=True)
    assert Counter(playbooks) == {first.playbook_id: 4, second.playbook_id: 4}


def test_what_is_not_due_yet_waits_and_lets_others_pass(start: Start, broker: Broker) -> None:
    delayed, due = start(ONE), start(ONE)
    advance(delayed, "start")
    change(run_of(delayed, "a").pk, "due_at = clock_timestamp() + interval '1 h'")

    assert dispatch_due() == 1
    assert broker.nudges == first_runs([due])


# -- branches of one execution


def fan_out(branches: int) -> Workflow:
    names = tuple(f"b{number}" for number in range(branches))
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=names, on_completion="end")
    ends = [Step(id=f"end-{name}", type=StepType.END) for name in names]
    return flow(fork, *[act(name, on_success=f"end-{name}") for name in names], *ends, end(), first="fork")


def test_branches_of_one_execution_are_nudged_in_chunks_that_keep_every_slot_busy(start: Start, broker: Broker) -> None:
    execution = start(fan_out(20))
    advance(execution, "start")

    assert dispatch_due() == 20
    sizes = [len(nudge.step_runs) for nudge in broker.published]
    assert sizes == [5, 5, 5, 5], "20 branches / (2 x 2 slots)"
    assert len(set(broker.nudges)) == 20
    assert dispatch_due() == 0


def test_a_chunk_takes_the_room_of_one_nudge(start: Start, broker: Broker) -> None:
    wide = start(fan_out(20))
    advance(wide, "start")
    dispatch_due()
    others = [start(ONE) for _ in range(10)]

    assert dispatch_due() == 4, "eight nudges fit, and four are out"
    assert broker.nudges[20:] == first_runs(others)[:4]


def test_a_chunk_is_run_to_the_end_of_its_branches(start: Start, broker: Broker, run_to_end: Any) -> None:
    execution = start(fan_out(4), script={f"b{number}": [{"result": "success"}] for number in range(4)})
    run_from(run_of(execution, "start").pk)
    chunk = Chunk([run_of(execution, f"b{number}").pk for number in range(4)])
    run_chunk(chunk)

    assert state(execution)[0] == "completed"
    assert chunk.waiting() == ()
    check_history(execution)


def test_what_waits_behind_a_long_call_is_published_anew_at_once(start: Start, broker: Broker) -> None:
    execution = start(fan_out(8))
    advance(execution, "start")
    dispatch_due()
    nudge = broker.published[0]
    with opened(nudge.step_runs) as chunk:
        claim(execution, "b0")
        chunk.started(nudge.step_runs[0])

    broker.take_all()
    assert dispatch_due() == 1
    assert broker.nudges == [nudge.step_runs[1]]
    assert run_of(execution, "b1").publications == 1, "a nudge that was given back does not count"


def test_a_worker_yields_to_a_tenant_that_has_had_less_and_to_nobody_else(start: Start, broker: Broker) -> None:
    chain = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")
    busy = [start(chain) for _ in range(6)]
    works = [claim(execution, "start", worker=f"w{number}") for number, execution in enumerate(busy)]
    followed = record_outcome(work=works[0], performed=DONE, carry_on=True)
    assert followed is not None, "waiting work of the same tenant is no reason"

    start_workflow(make_tenant(), ONE)
    dispatch_due()
    assert record_outcome(work=works[1], performed=DONE, carry_on=True) is None
    assert run_of(busy[1], "a").status == "pending"
    assert dispatch_due() == 1, "what was left is rung for"


def test_a_worker_does_not_yield_to_what_is_held(start: Start, broker: Broker) -> None:
    busy = [start(ONE) for _ in range(6)]
    works = [claim(execution, "start", worker=f"w{number}") for number, execution in enumerate(busy)]
    other = start_workflow(make_tenant(), ONE)
    dispatch_due()
    pause_execution(execution=other, actor=SYSTEM, now=NOON)

    assert record_outcome(work=works[0], performed=DONE, carry_on=True) is not None


def test_an_idle_dispatcher_reads_nothing_of_what_is_due_later(broker: Broker) -> None:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (COSTS OFF) " + idle.TAKE)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert re.search(r"using step_run_due .*\n\s+Index Cond: \(due_at <=", plan), plan
