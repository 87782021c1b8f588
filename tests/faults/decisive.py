"""Small decisive histories. Each raises ``Broken`` with the invariant that does not hold, and nothing where all hold.

They look at the guards from outside: the rows, the ledger, the events. Modules are named rather than their functions,
so that a mutant that is put in is what runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import timezone

from accounts.models import Tenant
from config.canary import redis
from connectors.base import Outcome, OutcomeKind
from connectors.models import Connection
from connectors.services import save_connection
from core import failpoints
from core.actors import SYSTEM
from executions import carry, dispatching, events, leases, nodes, performing, queue, statements, tasks
from executions.leases import Holding
from executions.models import Attempt, Event, Execution, Review, Scope, StepRun
from executions.performed import Abandoned, Performed
from executions.services import (
    Quarantined,
    answer_request,
    cancel_execution,
    carrying,
    pause_execution,
    resolve_review,
    sweeping,
)
from executions.services import starting as starting_service
from executions.services.claiming import Work, claim_step
from executions.services.recording import record_outcome
from manual.services import Answer, RequestGone
from playbooks.cacao.types import Step, StepType, Variable, Workflow
from tests.connectors.servers import Server
from tests.engine.test_decide import act, condition, end, flow
from tests.executions.acting import (
    DONE,
    OTHER,
    PERSON,
    advance,
    asked,
    change,
    claim,
    connect,
    lose,
    one_step,
    post,
    record,
    run_of,
    state,
)
from tests.executions.approvers import person, policy, vote
from tests.executions.gating import switch_on
from tests.executions.test_answering import ask
from tests.factories import NOON
from tests.faults.failpoints import Failpoint, Reached
from tests.flows.driving import DUE
from tests.flows.starting import make_tenant, start_workflow, store_workflow
from tests.races.racing import racers

ONE = flow(act("a", on_success="end"), end(), first="a")
TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")
UNSAFE = Performed(Outcome(OutcomeKind.COMPLETED), effect_class="unsafe", is_intended=True)


class Broken(AssertionError):
    """An invariant does not hold; ``invariant`` is its name."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


def holds(condition: object, invariant: str, what: str) -> None:
    if not condition:
        raise Broken(invariant, what)


@dataclass
class Ground:
    """What a scenario stands on: a tenant of its own, a ledger, a folder."""

    server: Server
    folder: Path

    def __post_init__(self) -> None:
        self.tenant: Tenant = make_tenant()

    def start(self, workflow: Workflow, **more: Any) -> Execution:
        return start_workflow(self.tenant, workflow, **more)

    def posting(self, *, keyed: bool) -> Execution:
        """A start that is over, and one call that is due."""
        connect(self.tenant, self.server, keyed=keyed, trace_headers=True)
        execution = self.start(one_step(post("p", "/effect/keyed" if keyed else "/effect/unkeyed")))
        advance(execution, "start")
        return execution

    def effects(self, execution: Execution) -> int:
        """How often the far side did what step ``p`` asks for."""
        run = str(run_of(execution, "p").pk)
        if not any(received.headers.get("idempotency-key") for received in self.server.requests):
            return sum(received.headers["x-step-run"] == run for received in self.server.requests)
        return sum(times for key, times in self.server.state.applied.items() if key.startswith(run))

    def worker_is_lost_at(self, place: str, execution: Execution, step: str) -> None:
        """A worker dies at a place of ``core.failpoints``: what it has committed stays, its lease runs out."""
        failpoint = Failpoint(place, "raise", self.folder / f"{place}-{execution.pk}")
        failpoints.install(failpoint)
        try:
            tasks.run_from(run_of(execution, step).pk)
        except Reached:
            pass
        finally:
            failpoints.install(None)
        assert failpoint.mark.exists(), "no fault happened"
        change(run_of(execution, step).pk, "lease_until = clock_timestamp()")


def rounds(execution: Execution, *, count: int = 12) -> Execution:
    """Sweep and work as the processes would, some rounds; whatever is to come later comes at once."""
    for _ in range(count):
        sweeping.sweep_once()
        StepRun.objects.filter(execution=execution, status="retrying").update(due_at=statements.database_now())
        with connection.cursor() as cursor:
            cursor.execute(DUE)
            due = [row[0] for row in cursor.fetchall()]
        for step_run in due:
            tasks.run_from(step_run)
        if state(execution)[0] in ("completed", "failed", "cancelled"):
            break
    return execution


def a_worker_is_lost_after_a_keyed_call(ground: Ground) -> None:
    execution = ground.posting(keyed=True)
    ground.worker_is_lost_at("before_record_commit", execution, "p")
    rounds(execution)

    holds(state(execution)[0] == "completed", "I1", f"the execution is {state(execution)[0]} and waits for nothing")
    holds(ground.effects(execution) == 1, "I7", f"{ground.effects(execution)} effects of one step")


def a_worker_is_lost_after_an_unsafe_call(ground: Ground) -> None:
    execution = ground.posting(keyed=False)
    ground.worker_is_lost_at("before_record_commit", execution, "p")
    rounds(execution)

    run = run_of(execution, "p")
    holds(ground.effects(execution) == 1, "I8", f"{ground.effects(execution)} requests that nobody ordered")
    is_flagged = run.effect == "unknown" and Review.objects.filter(step_run=run, status="open").exists()
    holds(run.status == "completed" or is_flagged, "I9", f"an effect is neither recorded nor flagged: {run.status}")


def a_frozen_worker_wakes_up_and_records(ground: Ground) -> None:
    execution = ground.start(ONE)
    advance(execution, "start")
    frozen = claim(execution, "a", worker="frozen")
    lose(frozen)
    sweeping.sweep_once()
    successor = claim(execution, "a", worker="successor")
    record(frozen)

    run = run_of(execution, "a")
    holds(
        (run.status, run.fence) == ("running", successor.run.fence), "I5", f"a late worker made the step {run.status}"
    )


def a_frozen_worker_wakes_up_and_renews(ground: Ground) -> None:
    execution = ground.start(ONE)
    frozen = claim(execution, "start", worker="frozen")
    holding = Holding(frozen.run.id, frozen.run.fence, asked_at=time.monotonic(), lease=30)
    lose(frozen)
    sweeping.sweep_once()
    claim(execution, "start", worker="successor")
    leases.renew([holding])

    holds(not holding.has_time_left(), "I6", "a worker without a lease believes that it may call")


@contextmanager
def skewed_clock(by: timedelta) -> Iterator[None]:
    """This process's own clock is wrong; the database's is not."""
    now, seconds = timezone.now, time.time
    with (
        patch.object(timezone, "now", lambda: now() + by),
        patch.object(time, "time", lambda: seconds() + by.total_seconds()),
    ):
        yield


def a_workers_clock_is_wrong(ground: Ground) -> None:
    for hours in (-1, 1):
        execution = ground.start(ONE)
        with skewed_clock(timedelta(hours=hours)):
            work = claim_step(step_run_id=run_of(execution, "start").pk, worker="w")
            holds(work is not None, "I20", f"at {hours:+} h a due step cannot be claimed")
            assert work is not None
            left = run_of(execution, "start").lease_until - statements.database_now()  # type: ignore[operator]
            holds(timedelta(0) < left < timedelta(minutes=1), "I20", f"at {hours:+} h a lease lasts {left}")
            taken = sweeping.take_back_lost(work.run.id, execution.pk)
            holds(not taken, "I20", f"at {hours:+} h a good lease is taken back")
            record(work)
            rounds(execution, count=3)


def a_pause_meets_a_claim(ground: Ground) -> None:
    """The claim is held up between its look at the execution and its UPDATE, until the pause is through or waits."""
    execution = ground.start(ONE)
    run = run_of(execution, "start").pk
    paused = threading.Event()
    told: list[object] = []
    claims = statements.claim

    def held_up(*args: Any, **more: Any) -> Any:
        pausing.start()
        paused.wait(0.5)
        was_paused.append(paused.is_set())
        return claims(*args, **more)

    def pause() -> None:
        pause_execution(execution=execution, actor=SYSTEM, now=NOON)
        paused.set()
        connection.close()

    was_paused: list[bool] = []
    pausing = threading.Thread(target=pause)
    with patch.object(statements, "claim", held_up):
        try:
            told.append(claim_step(step_run_id=run, worker="w"))
        except Exception as error:
            told.append(error)
    pausing.join()

    execution.refresh_from_db()
    followed = was_paused[0] and told[0] is not None
    holds(not followed, "I17", f"a claim went on after the pause was committed: {told[0]!r}")
    holds(execution.held_at is not None, "I17", "the pause is forgotten")


def a_stop_meets_an_intent(ground: Ground) -> None:
    execution = ground.posting(keyed=False)
    work = claim(execution, "p")
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
    with leases.LeaseKeeper().hold(work.run.id, work.run.fence, asked_at=work.asked_at) as holding:
        try:
            performing.perform(work, holding)
        except Abandoned:
            pass

    holds(ground.effects(execution) == 0, "I18", "a call was made after the cancel")


@contextmanager
def cut_commit(how: str) -> Iterator[None]:
    """The connection breaks at the next commit: ``before`` it reaches the server, or ``after``: its answer is lost."""
    cut = threading.Event()
    commit = DatabaseWrapper._commit  # type: ignore[attr-defined]

    def cutting(self: DatabaseWrapper) -> Any:
        if cut.is_set():
            return commit(self)
        cut.set()
        if how == "after":
            commit(self)
        self.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    with patch.object(DatabaseWrapper, "_commit", cutting):
        yield
    assert cut.is_set(), "no commit was cut"


def the_answer_to_a_commit_is_lost(ground: Ground) -> None:
    for how in ("before", "after"):
        execution = ground.start(ONE)
        advance(execution, "start")
        work = claim(execution, "a")
        with cut_commit(how):
            record(work)

        status = run_of(execution, "a").status
        times = Event.objects.filter(execution=execution, type="step.completed", step_run_id=work.run.id).count()
        holds(status == "completed", "I10", f"cut {how}: an outcome that was not stored is taken for stored")
        holds(times == 1, "I10", f"cut {how}: one outcome is recorded {times} times")


def a_branchs_end_is_rolled_back_once(ground: Ground) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("b1", "b2"), on_success="after")
    execution = ground.start(
        flow(fork, act("b1"), act("b2"), act("after", on_success="end"), end(), first="fork")
    )  # fmt: skip
    advance(execution, "start")
    works = [claim(execution, name, worker=name) for name in ("b1", "b2")]
    with cut_commit("before"):
        record(works[0])
    holds(run_of(execution, "fork").status == "waiting", "I12", "the branches are joined while one is open")
    record(works[1])
    holds(run_of(execution, "fork").status == "completed", "I12", "the branches are never joined")
    holds(StepRun.objects.filter(execution=execution, step_id="after").count() == 1, "I12", "it goes on more than once")


def a_visits_end_is_rolled_back_once(ground: Ground) -> None:
    loop = Step(
        id="while", type=StepType.WHILE, condition=condition("__go__:value = 'yes'", "__go__"), on_true="body",
        on_failure="end",
    )  # fmt: skip
    variables = {"__go__": Variable("__go__", value="yes")}
    execution = ground.start(flow(loop, act("body"), end(), first="while", variables=variables), loop_limit=9)
    advance(execution, "start")
    for number in range(3):
        work = claim(execution, "body")
        if number == 1:
            with cut_commit("before"):
                record(work)
        else:
            record(work)
    visits = Scope.objects.filter(execution=execution, opener_step="while").order_by("position")
    found = list(visits.values_list("position", flat=True))
    holds(found == [1, 2, 3, 4], "I13", f"the visits are numbered {found}")


def a_backlog_waits_for_few_workers(ground: Ground) -> None:
    """Nobody claims; what was published an age ago still waits in the broker."""
    _empty_queue()
    try:
        nodes.beat("work@one", role="work", slots=1)
        for _ in range(12):
            ground.start(ONE)
        for _ in range(3):
            dispatching.dispatch_due()
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE executions_steprun SET published_at = published_at - interval '2 minutes'"
                    " WHERE published_at IS NOT NULL"
                )
        waiting = queue.waiting()
    finally:
        _empty_queue()
    holds(waiting <= dispatching.NUDGES_A_SLOT + 1, "I21", f"{waiting} nudges wait for one slot")


def _empty_queue() -> None:
    """Every priority has a list of its own."""
    keys = list(redis().scan_iter(f"{_prefix()}{_queue()}*"))
    if keys:
        redis().delete(*keys)


def _prefix() -> str:
    from django.conf import settings

    return str(settings.SALLYPORT_REDIS_PREFIX)


def _queue() -> str:
    from django.conf import settings

    return str(settings.CELERY_TASK_DEFAULT_QUEUE)


def a_lost_step_stands_behind_a_backlog(ground: Ground) -> None:
    published: list[queue.Nudge] = []
    for _ in range(10):
        advance(ground.start(ONE), "start")
    lost = ground.start(ONE)
    lose(claim(lost, "start"))
    sweeping.sweep_once()
    nodes.beat("work@one", role="work", slots=1)
    with patch.object(queue, "publish", published.extend):
        dispatching.dispatch_due()

    named = {step_run for nudge in published for step_run in nudge.step_runs}
    holds(run_of(lost, "start").pk in named, "I21", "a step that was lost waits for the backlog")


def equal_starts_come_at_once(ground: Ground) -> None:
    version = store_workflow(ground.tenant, ONE)
    start = partial(
        starting_service.start_execution, tenant=ground.tenant, version=version, inputs={"variables": {}},
        actor=SYSTEM, start_key="k", start_digest="d", now=NOON,
    )  # fmt: skip
    with racers(8) as threads:
        threads.all_at_once(start)

    found = Execution.objects.filter(tenant=ground.tenant, start_key="k").count()
    holds(found == 1, "I16", f"{found} executions have one start key")


def two_people_answer_what_both_have_seen_open(ground: Ground) -> None:
    execution = ground.start(flow(ask(on_failure="end"), end(), first="q"))
    advance(execution, "start")
    seen = [asked(execution, "q") for _ in range(2)]
    answer_request(request=seen[0], answer=Answer(True), actor=PERSON, now=timezone.now())
    try:
        answer_request(request=seen[1], answer=Answer(False), actor=OTHER, now=timezone.now())
    except RequestGone:
        return
    raise Broken("I14", "a second answer was taken")


def a_step_kills_whoever_claims_it(ground: Ground) -> None:
    execution = ground.start(ONE)
    for _ in range(4):
        work = claim_step(step_run_id=run_of(execution, "start").pk, worker="w")
        if work is None:
            break
        lose(work)
        sweeping.sweep_once()
    run = run_of(execution, "start")
    holds((run.status, run.reason) == ("failed", "poison"), "I24", f"after 4 lost attempts the step is {run.status}")


def a_stream_looks_as_soon_as_it_is_told(ground: Ground) -> None:
    seen: list[int] = []

    def look(execution_id: UUID, *_: Any, **__: Any) -> None:
        """On a connection of its own, as a stream does."""

        def count() -> None:
            seen.append(Event.objects.filter(execution_id=execution_id).count())
            connection.close()

        looking = threading.Thread(target=count)
        looking.start()
        looking.join()

    with patch.object(events, "announce", look):
        execution = ground.start(ONE)
    stored = Event.objects.filter(execution=execution).count()
    holds(seen[-1] == stored, "I23", f"a stream that was told to look found {seen[-1]} of {stored} events")


def a_person_orders_a_retry_at_once(ground: Ground) -> None:
    """The first worker is only frozen: its call may still be under way."""
    execution = ground.posting(keyed=False)
    ground.worker_is_lost_at("before_record_commit", execution, "p")
    sweeping.sweep_once()
    review = Review.objects.get(execution=execution)
    try:
        resolve_review(review=review, resolution="again", reason="now", actor=SYSTEM, now=NOON)
    except Quarantined:
        return
    raise Broken("I6", "a successor may act while the first call may still be under way")


def a_worker_carries_on_after_a_pause(ground: Ground) -> None:
    execution = ground.start(ONE)
    work: Work = claim(execution, "start")
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    following = record_outcome(work=work, performed=DONE, carry_on=True)

    holds(following is None, "I17", "a worker that carries on claims after the pause")


def a_worker_carries_on_after_a_stop(ground: Ground) -> None:
    execution = ground.start(TWO)
    advance(execution, "start")
    work: Work = claim(execution, "a")
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
    following = record_outcome(work=work, performed=DONE, carry_on=True)

    holds(following is None, "I18", "a worker that carries on starts a step after the stop")
    holds(not StepRun.objects.filter(execution=execution, step_id="b").exists(), "I18", "a step was opened after it")


def a_frozen_worker_wakes_up_and_carries_on(ground: Ground) -> None:
    execution = ground.start(TWO)
    advance(execution, "start")
    frozen = claim(execution, "a", worker="frozen")
    lose(frozen)
    sweeping.sweep_once()
    successor = claim(execution, "a", worker="successor")
    following = record_outcome(work=frozen, performed=DONE, carry_on=True)

    run = run_of(execution, "a")
    holds(following is None, "I5", "a late worker goes on to the next step")
    holds(
        (run.status, run.fence) == ("running", successor.run.fence), "I5", f"a late worker made the step {run.status}"
    )


def two_workers_have_seen_the_same_step_due(ground: Ground) -> None:
    execution = ground.start(ONE)
    run, look = run_of(execution, "start").pk, carry.look

    def seen_too_early(step_run: UUID) -> Any:
        found = look(step_run)
        claim(execution, "start", worker="first")
        return found

    with patch.object(carry, "look", seen_too_early):
        second = carrying.take_up(run, worker="second")
    holds(second is None, "I4", "two workers have claimed one step run")


def a_pause_comes_between_a_look_and_a_claim(ground: Ground) -> None:
    execution = ground.start(ONE)
    run, look = run_of(execution, "start").pk, carry.look

    def seen_too_early(step_run: UUID) -> Any:
        found = look(step_run)
        pause_execution(execution=execution, actor=SYSTEM, now=NOON)
        return found

    with patch.object(carry, "look", seen_too_early):
        holds(carrying.take_up(run, worker="w") is None, "I17", "a claim went on after the pause was committed")


def a_sweep_acts_on_what_it_saw_before(ground: Ground) -> None:
    """Two sweeps have found the same lost step; the second one acts once a worker has it again."""
    execution = ground.start(ONE)
    lose(claim(execution, "start"))
    run = run_of(execution, "start").pk
    sweeping.take_back_lost(run, execution.pk)
    claim(execution, "start", worker="successor")
    sweeping.take_back_lost(run, execution.pk)

    lost = Attempt.objects.filter(step_run=run, outcome="lost").count()
    holds(run_of(execution, "start").status == "running", "I4", "a sweep took a good lease away")
    holds(lost == 1, "I4", f"{lost} attempts are called lost")


def the_servers_power_fails(ground: Ground) -> None:
    from tests.faults.power_cut import lost_after_a_kill

    lost, acknowledged = lost_after_a_kill(ground.folder)
    assert acknowledged > 100, "too little was committed to prove anything"
    holds(lost == 0, "I1", f"{lost} of {acknowledged} acknowledged commits are gone")


Scenario = Callable[[Ground], None]


def the_target_changes_after_the_vote(ground: Ground) -> None:
    execution = ground.posting(keyed=True)
    policy(ground.tenant)
    tasks.run_from(run_of(execution, "p").pk)
    vote(asked(execution, "p"), person(ground.tenant, f"ada-{ground.tenant.slug}"))
    connection_row = Connection.objects.get(tenant=ground.tenant, name="ledger")
    save_connection(
        tenant=ground.tenant, kind="http", name="ledger", url=f"{connection_row.url}/elsewhere", now=timezone.now()
    )
    change(run_of(execution, "p").pk, "due_at = LEAST(due_at, clock_timestamp())")
    tasks.run_from(run_of(execution, "p").pk)
    called = len(ground.server.requests)
    holds(called == 0, "I15", f"{called} calls of what nobody has approved")


def a_small_tenant_stands_beside_a_backlog(ground: Ground) -> None:
    """The one slot is given anew each time; the backlog was due long before."""
    published: list[queue.Nudge] = []
    for _ in range(30):
        ground.start(ONE)
    small = start_workflow(make_tenant(), ONE)
    nodes.beat("work@one", role="work", slots=1)
    with patch.object(queue, "publish", published.extend):
        dispatching.dispatch_due()
    named = {step_run for nudge in published for step_run in nudge.step_runs}
    holds(run_of(small, "start").pk in named, "I22", "a tenant with one step waits for the backlog of another")


def a_switch_is_set_between_two_calls(ground: Ground) -> None:
    first, second = ground.posting(keyed=True), ground.start(one_step(post("p", "/effect/keyed")))
    advance(second, "start")
    tasks.run_from(run_of(first, "p").pk)
    switch_on(ground.tenant, "connector", "http")
    tasks.run_from(run_of(second, "p").pk)
    late = ground.effects(second)
    holds(late == 0, "SEC-66", f"{late} effects after the switch")
