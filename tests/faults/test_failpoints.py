"""Every named place of the protocol, hit by a kill, a freeze of one and a half leases, and an exception.

Real workers and sweeps, with a lease of one second. Two executions at once, one whose far side honours keys and one
that does whatever it is asked, each in the hands of a worker that meets the fault; a third worker takes over.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accounts.models import Tenant
from config.home import ROOT
from core import failpoints as places
from core.actors import SYSTEM
from executions import leases, tasks
from executions.models import Attempt, Execution, OutboxMessage, Review, StepRun, WebhookTarget
from executions.services import cancel_execution, resolve_review
from executions.services.claiming import claim_step
from executions.services.sweeping import sweep_once
from executions.statements import database_now
from executions.tasks import run_from
from playbooks.cacao.types import Step, StepType, Workflow
from tests.connectors.servers import Received, Reply, Server, echo, ledger, serving
from tests.engine.test_decide import end, flow
from tests.executions.acting import advance, asked, attempts, change, connect, events, lose, post, run_of, state
from tests.executions.histories import check_history
from tests.executions.legal_moves import unwatch_moves, watch_moves
from tests.executions.test_answering import ask
from tests.factories import NOON
from tests.faults import calls
from tests.faults.failpoints import ACTIONS, Failpoint, Reached, install
from tests.faults.nursery import Nursery, Process, nursery
from tests.flows.driving import drive
from tests.flows.starting import Start, make_tenant, start_workflow, store_workflow

PROCESS_FAULTS = ("kill", "stop")

#: place[:n-th time] -> what is left of an unsafe call: nothing to ask, or a review of a call that was (not) made
SENT_NOTHING, ASKED_IN_VAIN, ASKED_RIGHTLY = "sent nothing", "asked in vain", "asked rightly"
ON_THE_WAY = {
    "after_claim:2": SENT_NOTHING,
    "after_prepare": SENT_NOTHING,
    "before_intent_commit": SENT_NOTHING,
    "after_intent": ASKED_IN_VAIN,
    "after_first_byte": ASKED_RIGHTLY,
    "after_send": ASKED_RIGHTLY,
    "before_record_commit:2": ASKED_RIGHTLY,
    "after_record_commit:2": SENT_NOTHING,
    "after_carry_on_claim": SENT_NOTHING,
}
ELSEWHERE = {
    "before_start_commit", "after_start_commit", "after_publish", "during_renewal", "mid_sweep_batch",
    "after_answer_commit", "before_join_insert", "after_child_end", "after_outbox_send", "during_stop_grace",
    "during_drain",
}  # fmt: skip


@pytest.fixture(scope="module")
def nest(django_db_setup: None, django_db_blocker: Any) -> Iterator[Nursery]:
    with django_db_blocker.unblock():
        watch_moves()
        with nursery() as found:
            yield found
        unwatch_moves()


@pytest.fixture(autouse=True)
def _clean(transactional_db: None, nest: Nursery, settings: Any) -> Iterator[None]:
    """Processes end before the tables are emptied."""
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    yield
    places.install(None)
    nest.clear()


@pytest.fixture
def server() -> Iterator[Server]:
    with ledger() as found:
        yield found


@pytest.fixture
def slow_server(server: Server) -> Iterator[Server]:
    """A ledger whose first two answers take three leases to come."""
    asked: list[Received] = []

    def handle(received: Received) -> Reply:
        asked.append(received)
        reply = server.answer(received)
        if len(asked) > 2:
            return reply
        headers = {**reply.headers, "Connection": "close"}  # as this server does after such an answer
        return replace(reply, body=reply.body.ljust(60), headers=headers, manner="drip")

    with serving(handle, server.state) as found:
        yield found


class Pair:
    """The same two calls in two tenants: one whose far side honours keys, one whose far side does not."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.keyed, self.unsafe = (self._start(server, keyed=keyed) for keyed in (True, False))
        self.both = (self.keyed, self.unsafe)

    @staticmethod
    def _start(server: Server, *, keyed: bool) -> Execution:
        tenant = make_tenant()
        connect(tenant, server, keyed=keyed, trace_headers=True)
        path = "/effect/keyed" if keyed else "/effect/unkeyed"
        return start_workflow(tenant, two_posts(path))

    def requests(self, execution: Execution, step: str) -> int:
        run = str(run_of(execution, step).pk)
        return sum(received.headers["x-step-run"] == run for received in self.server.requests)

    def left(self) -> str:
        """What is left where the place may be reached before the call, during it or after it."""
        if not Review.objects.exists():
            return SENT_NOTHING
        return ASKED_RIGHTLY if self.requests(self.unsafe, "p1") else ASKED_IN_VAIN

    def check(self, left: str) -> None:
        """Both have gone on as far as they may; then a person's word lets the unsafe one end too."""
        assert state(self.keyed)[0] == "completed"
        check_history(self.keyed)
        for run in StepRun.objects.filter(execution=self.keyed, step_type="action"):
            assert self.server.state.applied[str(run.pk)] == 1
        self._check_unsafe(left)
        assert state(self.unsafe)[0] == "completed"
        assert [self.requests(self.unsafe, step) for step in ("p1", "p2")] == [1, 1]
        check_history(self.unsafe)

    def _check_unsafe(self, left: str) -> None:
        if left == SENT_NOTHING:
            assert list(Review.objects.values_list("why", "facts")) == []
            return
        review = Review.objects.get()
        run = run_of(self.unsafe, "p1")
        assert (run.pk, run.status, run.effect, review.status) == (review.step_run_id, "uncertain", "unknown", "open")
        assert self.requests(self.unsafe, "p1") == (1 if left == ASKED_RIGHTLY else 0)
        change(run.pk, "quarantine_until = clock_timestamp()")
        word = "happened" if left == ASKED_RIGHTLY else "again"
        resolve_review(review=review, resolution=word, reason="looked", actor=SYSTEM, now=NOON)
        drive(self.unsafe)


def two_posts(path: str) -> Workflow:
    start = Step(id="start", type=StepType.START, on_completion="p1")
    steps = (start, post("p1", path, on_success="p2"), post("p2", path), Step(id="end", type=StepType.END))
    return Workflow(start="start", steps={step.id: step for step in steps}, dialect="s4e")


def have_settled(*executions: Execution) -> bool:
    """True when nothing of them is running, due or to be retried any more."""
    live = StepRun.objects.filter(execution__in=executions, status__in=("pending", "running", "retrying"))
    return not live.exists()


def was_hit(nest: Nursery, *victims: Process) -> None:
    nest.until(lambda: all(victim.was_hit() for victim in victims), "the place is reached")


def have_woken_up(nest: Nursery, *victims: Process) -> None:
    """Processes that were frozen have let go of what they held: asked to end, they finish that first."""
    for victim in victims:
        victim.signal(signal.SIGTERM)
        victim.signal(signal.SIGCONT)
    nest.until(lambda: not any(victim.is_running for victim in victims), "the frozen ones have ended")


def go_on(nest: Nursery, pair: Pair, fault: str, *victims: Process) -> None:
    """Wait until both have gone on as far as they may, and whoever was frozen has seen so."""
    nest.until(lambda: have_settled(*pair.both), "it goes on")
    if fault == "stop":
        have_woken_up(nest, *victims)


def end_of(execution: Execution, nest: Nursery, status: str = "completed") -> None:
    nest.until(lambda: state(execution)[0] == status, f"{execution} is {status}, not {state(execution)}")
    check_history(execution)


def test_the_places_are_those_of_the_code() -> None:
    code = "".join(path.read_text() for app in ("core", "executions") for path in (ROOT / app).glob("**/*.py"))
    reached = set(re.findall(r"failpoints\.reach\(\"(\w+)\"\)", code))

    assert reached == {place.partition(":")[0] for place in ON_THE_WAY} | ELSEWHERE


@pytest.mark.slow
@pytest.mark.parametrize("fault", PROCESS_FAULTS)
@pytest.mark.parametrize("place", ON_THE_WAY)
def test_a_worker_is_lost_on_the_way(nest: Nursery, server: Server, place: str, fault: str) -> None:
    name, _, nth = place.partition(":")
    victims = [nest.start("work", failpoint=f"{name}:{fault}:{nth or 1}", frozen=0) for _ in range(2)]
    nest.start("sweep")
    pair = Pair(server)
    was_hit(nest, *victims)
    nest.start("work")
    go_on(nest, pair, fault, *victims)
    pair.check(ON_THE_WAY[place])


@pytest.mark.parametrize("place", ON_THE_WAY)
def test_an_exception_on_the_way(server: Server, place: str, tmp_path: Any) -> None:
    """What was not sent is tried again; what was is repeated where that is safe, and else put to a person."""
    name, _, nth = place.partition(":")
    pair = Pair(server)
    for number, execution in enumerate(pair.both):
        failpoint = Failpoint(name, "raise", tmp_path / str(number), nth=int(nth or 1))
        places.install(failpoint)
        try:
            run_from(run_of(execution, "start").pk)
        except Reached:
            pass
        places.install(None)
        assert failpoint.mark.exists()
    for execution in pair.both:
        for run in StepRun.objects.filter(execution=execution, status="running"):
            change(run.pk, "lease_until = clock_timestamp()")
    sweep_once()
    StepRun.objects.filter(status="retrying").update(due_at=database_now())
    for execution in pair.both:
        drive(execution)

    pair.check(SENT_NOTHING if place == "after_intent" else ON_THE_WAY[place])


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_start_is_lost_before_its_commit(nest: Nursery, start: Start, fault: str) -> None:
    version = str(store_workflow(start.args[0], flow(end(), first="end")).pk)  # type: ignore[attr-defined]
    caller = nest.start(
        "call", call="start", arguments={"version": version, "key": "k"}, failpoint=f"before_start_commit:{fault}"
    )
    was_hit(nest, caller)
    if fault != "stop":
        nest.until(lambda: not caller.is_running, "the caller is gone")
        assert not Execution.objects.exists()

    execution = calls.start(version=version, key="k")

    nest.until(lambda: not caller.is_running, "the caller is gone")
    assert Execution.objects.count() == 1
    assert drive(execution).status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_an_accepted_start_whose_caller_is_lost_runs_all_the_same(nest: Nursery, start: Start, fault: str) -> None:
    version = str(store_workflow(start.args[0], flow(end(), first="end")).pk)  # type: ignore[attr-defined]
    nest.start("work")
    nest.start("sweep")
    caller = nest.start(
        "call", call="start", arguments={"version": version, "key": "k"}, failpoint=f"after_start_commit:{fault}"
    )
    was_hit(nest, caller)

    end_of(Execution.objects.get(), nest)
    assert calls.start(version=version, key="k") == Execution.objects.get()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_dispatcher_is_lost_after_it_has_published(nest: Nursery, server: Server, fault: str) -> None:
    nest.start("work")
    victim = nest.start("sweep", failpoint=f"after_publish:{fault}")
    pair = Pair(server)
    was_hit(nest, victim)
    nest.start("sweep")
    nest.until(lambda: have_settled(*pair.both), "they have ended")

    pair.check(SENT_NOTHING)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_sweep_is_lost_in_the_middle_of_a_batch(nest: Nursery, start: Start, fault: str) -> None:
    executions = [start(flow(end(), first="end")) for _ in range(5)]
    for execution in executions:
        work = claim_step(step_run_id=run_of(execution, "start").pk, worker="gone")
        assert work is not None
        lose(work)
    victim = nest.start("sweep", failpoint=f"mid_sweep_batch:{fault}:2")
    was_hit(nest, victim)
    nest.start("sweep")
    nest.start("work")

    for execution in executions:
        end_of(execution, nest)
        assert attempts(execution, "start") == ["lost", "completed"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_whoever_takes_an_answer_is_lost_once_it_counts(nest: Nursery, start: Start, fault: str) -> None:
    execution = start(flow(ask(on_failure="end", on_success="end"), end(), first="q"))
    advance(execution, "start")
    request = asked(execution, "q")
    caller = nest.start(
        "call", call="answer", arguments={"request": str(request.pk)}, failpoint=f"after_answer_commit:{fault}"
    )
    was_hit(nest, caller)
    nest.start("work")
    nest.start("sweep")

    end_of(execution, nest)
    assert events(execution).count("request.answered") == 1
    assert run_of(execution, "q").status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_worker_is_lost_while_it_joins_branches(nest: Nursery, tenant: Tenant, server: Server, fault: str) -> None:
    connect(tenant, server, trace_headers=True)
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("b1", "b2"), on_success="after")
    steps = [fork, post("b1", on_success="e1"), post("b2", on_success="e2"), post("after")]
    steps += [Step(id=name, type=StepType.END) for name in ("e1", "e2", "end")]
    steps.append(Step(id="start", type=StepType.START, on_completion="fork"))
    victim = nest.start("work", failpoint=f"before_join_insert:{fault}")
    nest.start("sweep")
    execution = start_workflow(tenant, Workflow(start="start", steps={s.id: s for s in steps}, dialect="s4e"))
    was_hit(nest, victim)
    nest.start("work")
    if fault == "stop":
        have_woken_up(nest, victim)

    end_of(execution, nest)
    assert StepRun.objects.filter(execution=execution, step_id="after").count() == 1
    assert set(server.state.applied.values()) == {1}
    assert len(server.state.applied) == 3


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_worker_is_lost_once_a_child_has_ended(nest: Nursery, tenant: Tenant, start: Start, fault: str) -> None:
    child = store_workflow(tenant, flow(end(), first="end"))
    step = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=child.playbook.cacao_id, on_success="end")
    victim = nest.start("work", failpoint=f"after_child_end:{fault}")
    nest.start("sweep")
    parent = start(flow(step, end(), first="call"))
    was_hit(nest, victim)
    nest.start("work")
    if fault == "stop":
        have_woken_up(nest, victim)

    end_of(parent, nest)
    assert Execution.objects.filter(parent_step_run__execution=parent).count() == 1
    assert events(parent).count("step.completed") == len(StepRun.objects.filter(execution=parent))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_whoever_sends_a_webhook_is_lost_before_that_is_noted(
    nest: Nursery, tenant: Tenant, start: Start, fault: str
) -> None:
    with echo() as receiver:
        WebhookTarget.objects.create(tenant=tenant, url=receiver.url, allow_networks=["127.0.0.0/8"])
        victim = nest.start("sweep", failpoint=f"after_outbox_send:{fault}")
        start(flow(end(), first="end"))
        was_hit(nest, victim)
        if fault == "kill":
            nest.start("sweep")
        if fault != "stop":
            OutboxMessage.objects.update(due_at=database_now())
        nest.until(lambda: not OutboxMessage.objects.filter(sent_at=None).exists(), "it is noted as sent")

        told = Counter(received.json["id"] for received in receiver.requests)
    assert list(told.values()) == [1 if fault == "stop" else 2]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PROCESS_FAULTS)
def test_a_worker_is_lost_while_it_renews(nest: Nursery, slow_server: Server, fault: str) -> None:
    victims = [nest.start("work", failpoint=f"during_renewal:{fault}", frozen=0) for _ in range(2)]
    nest.start("sweep")
    pair = Pair(slow_server)
    was_hit(nest, *victims)
    nest.start("work")
    go_on(nest, pair, fault, *victims)

    pair.check(pair.left())


def test_one_renewal_that_breaks_ends_no_other(
    slow_server: Server, tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SALLYPORT_LEASE *= 0.05  # the answer takes two of these
    monkeypatch.setattr(leases, "LOOK_EVERY", 0.1)
    keeper = leases.LeaseKeeper()
    monkeypatch.setattr(tasks, "keeper", keeper)
    install(Failpoint("during_renewal", "raise", tmp_path / "mark"))
    tenant = make_tenant()
    connect(tenant, slow_server, trace_headers=True)
    execution = start_workflow(tenant, two_posts("/effect/keyed"))
    run_from(run_of(execution, "start").pk)

    assert (tmp_path / "mark").exists()
    assert attempts(execution, "p1") == ["completed"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_worker_is_lost_in_the_grace_of_a_stop(nest: Nursery, slow_server: Server, fault: str) -> None:
    victims = [nest.start("work", failpoint=f"during_stop_grace:{fault}", frozen=0) for _ in range(2)]
    nest.start("sweep")
    pair = Pair(slow_server)
    nest.until(lambda: len(slow_server.requests) == 2, "both have called")
    for execution in pair.both:
        cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
    was_hit(nest, *victims)

    for execution in pair.both:
        end_of(execution, nest, "cancelled")
        run = run_of(execution, "p1")
        assert (run.status, run.effect) in (("cancelled", "unknown"), ("failed", "unknown"), ("uncertain", "unknown"))
        assert Review.objects.filter(step_run=run, status="open").count() == 1
        assert pair.requests(execution, "p1") == 1
        assert not StepRun.objects.filter(execution=execution, step_id="p2").exists()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ACTIONS)
def test_a_worker_is_lost_while_it_drains(nest: Nursery, slow_server: Server, fault: str) -> None:
    victims = [nest.start("work", failpoint=f"during_drain:{fault}", frozen=0) for _ in range(2)]
    nest.start("sweep")
    pair = Pair(slow_server)
    nest.until(lambda: len(slow_server.requests) == 2, "both have called")
    for victim in victims:
        victim.signal(signal.SIGTERM)
    was_hit(nest, *victims)
    nest.start("work")
    go_on(nest, pair, fault, *victims)

    drained = {str(victim.pid) for victim in victims}
    for attempt in Attempt.objects.filter(step_run__step_id="p2"):
        assert attempt.worker.split(":")[1] not in drained, "a process that drains has claimed"

    pair.check(pair.left())
