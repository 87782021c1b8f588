"""Random histories of the real services over the real rows, found and shrunk by Hypothesis (I1, I2, I3, I13, I23).

A history starts executions of random playbooks and then does to them what workers, sweeps, people and a faulty broker
do, in any order: claims by nudges that come twice, late or forged, intents, outcomes of every kind, workers that go
away between two transactions and come back later, lost leases, deadlines, pauses, stops, answers, reviews.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from connectors.base import Outcome, OutcomeKind, failed, unknown
from core.actors import SYSTEM
from core.errors import DomainError
from executions import statements
from executions.models import Execution, Review, Scope, StepRun
from executions.performed import Performed
from executions.services import cancel_execution, pause_execution, resolve_review, resume_execution, sweeping
from executions.services.claiming import Work, claim_step
from executions.services.handing_back import hand_back
from executions.services.recording import record_outcome
from manual.models import ManualRequest
from manual.services import VERDICT
from playbooks.cacao.types import OPENERS
from tests.engine.random_workflows import make_workflow
from tests.executions.acting import DONE, answer, change, lose
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import make_tenant, start_workflow

LIVE = ("pending", "running", "retrying", "waiting", "uncertain")
#: how many rounds a drain may take: a round moves each thing that can move by one step
DRAIN = 150
SECOND = timedelta(seconds=1)

OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "done": lambda: Outcome(OutcomeKind.COMPLETED),
    "refused": lambda: failed("connect_failed", "nobody is there", sent=False),
    "told no": lambda: failed("not_found", "no", sent=True, retry=False),
    "broken": lambda: failed("server_error", "it broke", sent=True),
    "no answer": lambda: unknown("no answer came"),
    "expired": lambda: Outcome(OutcomeKind.EXPIRED, code="timed_out", message="too late", sent=True),
}
SIZE = 10


def kinds_of(seed: int) -> set[str]:
    return {step.type.value for step in make_workflow(Random(seed), size=SIZE).steps.values()}


#: seeds of playbooks with loops and branches in them; small ones are over before anything can happen to them
RICH = [seed for seed in range(600) if {"while-condition", "parallel"} <= kinds_of(seed)]
playbook = st.sampled_from(RICH)
index = st.integers(min_value=0, max_value=10_000)


class Histories(RuleBasedStateMachine):
    """``held``: what workers have claimed and not let go of, good or lost; ``stale``: what they have let go of."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._stack.enter_context(transaction.atomic())
        self.tenant = make_tenant()
        self.executions: list[Execution] = []
        self.held: list[Work] = []
        self.stale: list[Work] = []
        self.requests: list[ManualRequest] = []
        self.intended: dict[Any, str] = {}
        self.final: dict[Any, tuple[Any, ...]] = {}

    def teardown(self) -> None:
        try:
            if not connection.needs_rollback:  # otherwise a rule has failed in the middle of a statement
                self._check_everything()
        finally:
            transaction.set_rollback(True)
            self._stack.close()

    # -- what is done

    @initialize(seed=playbook)
    def begin(self, seed: int) -> None:
        self._start(seed)

    @rule(seed=playbook)
    def start(self, seed: int) -> None:
        if len(self.executions) < 2:
            self._start(seed)

    def _start(self, seed: int) -> None:
        workflow = make_workflow(Random(seed), size=SIZE)
        self.executions.append(start_workflow(self.tenant, workflow, loop_limit=3))

    @rule(number=index)
    def nudge(self, number: int) -> None:
        """A message for a step run that may be due, claimed, over."""
        run = self._run(number)
        if run is not None:
            self._hold(claim_step(step_run_id=run.pk, worker=f"w{len(self.held)}"))

    @rule()
    def nudge_by_rights(self) -> None:
        self._nudge_by_rights()

    def _nudge_by_rights(self) -> None:
        run = self._runs("pending", "retrying").first()
        if run is not None:
            change(run.pk, "due_at = clock_timestamp()")
            self._hold(claim_step(step_run_id=run.pk, worker=f"w{len(self.held)}"))

    @rule(
        steps=st.integers(min_value=0, max_value=6),
        effect_class=st.sampled_from((None, "keyed", "probe", "unsafe", "unsafe")),
        outcome=st.sampled_from(("done", "done", "done", *OUTCOMES)),
        fate=st.sampled_from(("records", "records", "records", "carries on", "vanishes")),
    )
    def work(self, steps: int, effect_class: str | None, outcome: str, fate: str) -> None:
        """A worker takes some steps from their claims to their ends; the last one may be its own."""
        for _ in range(steps):
            self._work(effect_class, "done", "records")
        self._work(effect_class, outcome, fate)

    def _work(self, effect_class: str | None, outcome: str, fate: str) -> None:
        held = len(self.held)
        self._nudge_by_rights()
        if len(self.held) == held:
            return
        work = self.held[-1]
        if effect_class is not None:
            self._intend(work, effect_class)
        if fate == "vanishes":
            lose(work)
            sweeping.sweep_once()
        else:
            self._let_go(work)
            self._record(work, outcome, carry_on=fate == "carries on")

    @rule()
    def nudge_that_is_forged(self) -> None:
        assert claim_step(step_run_id=uuid4(), worker="w") is None

    @rule(number=index, effect_class=st.sampled_from(("keyed", "idempotent", "probe", "unsafe")))
    def intend(self, number: int, effect_class: str) -> None:
        work = self._one_of(self.held, number)
        if work is not None:
            self._intend(work, effect_class)

    def _intend(self, work: Work, effect_class: str) -> None:
        if work.run.kind != "act":
            return
        may = statements.note_intent(
            work.run, effect_class=effect_class, valid_for=None, call_limit=SECOND, lease=30 * SECOND
        )
        if may:
            self.intended[work.run.id, work.run.fence] = effect_class

    @rule(number=index, outcome=st.sampled_from(list(OUTCOMES)), carry_on=st.booleans())
    def record(self, number: int, outcome: str, carry_on: bool) -> None:
        work = self._one_of(self.held, number)
        if work is not None:
            self._let_go(work)
            self._record(work, outcome, carry_on=carry_on)

    @rule(number=index, outcome=st.sampled_from(list(OUTCOMES)))
    def record_once_more(self, number: int, outcome: str) -> None:
        """A worker that recorded, handed back or lost its step long ago."""
        work = self._one_of(self.stale, number)
        if work is not None:
            before = self._moved(work)
            self._record(work, outcome, carry_on=False)
            assert self._moved(work) == before, "an outcome that came late has moved something"

    @rule(number=index)
    def hand_it_back(self, number: int) -> None:
        work = self._one_of(self.held, number)
        if work is not None and (work.run.id, work.run.fence) not in self.intended:
            self._let_go(work)
            hand_back(work)

    @rule(number=index)
    def lose_a_lease(self, number: int) -> None:
        """A worker is gone between two transactions; it may come back."""
        work = self._one_of(self.held, number)
        if work is not None:
            lose(work)
            sweeping.sweep_once()

    @rule()
    def sweep(self) -> None:
        sweeping.sweep_once()

    @rule(number=index)
    def pass_a_deadline(self, number: int) -> None:
        run = self._run(number, *LIVE)
        if run is not None and run.deadline_at is not None:
            change(run.pk, "deadline_at = clock_timestamp()")
            ManualRequest.objects.filter(step_run=run, status="open").update(deadline_at=statements.database_now())
            sweeping.sweep_once()

    @rule(number=index, act=st.sampled_from((pause_execution, resume_execution, resume_execution, cancel_execution)))
    def steer(self, number: int, act: Callable[..., Execution]) -> None:
        if act is cancel_execution and number % 4:
            return  # most histories go on
        try:
            act(execution=self.executions[number % len(self.executions)], actor=SYSTEM, now=NOON)
        except DomainError:
            pass

    @rule(number=index, success=st.booleans(), yes=st.booleans())
    def answer_a_request(self, number: int, success: bool, yes: bool) -> None:
        """One that is open, or was when it was read."""
        self.requests += ManualRequest.objects.filter(execution__in=self.executions, status="open")
        request = self.requests[number % len(self.requests)] if self.requests else None
        if request is None:
            return
        values = {VERDICT: "true" if yes else "false"} if request.kind == "decision" else {}
        was_open = ManualRequest.objects.filter(pk=request.pk, status="open").exists()
        try:
            answer(request, values if success else {}, success=success)
        except DomainError:
            return
        assert was_open, "a request was answered twice"

    @rule(number=index, word=st.sampled_from(("happened", "again", "give_up")), is_over=st.booleans())
    def resolve(self, number: int, word: str, is_over: bool) -> None:
        reviews = Review.objects.filter(execution__in=self.executions).order_by("opened_at", "pk")
        if not reviews:
            return
        review = reviews[number % len(reviews)]
        if is_over:
            change(review.step_run_id, "quarantine_until = clock_timestamp()")
        try:
            resolve_review(review=review, resolution=word, reason="looked", actor=SYSTEM, now=NOON)
        except DomainError:
            pass

    # -- what must hold

    @invariant()
    def what_is_final_stays(self) -> None:
        found = {
            row[0]: row[1:]
            for table in (Execution.objects.filter(pk__in=[e.pk for e in self.executions]), self._runs())
            for row in table.exclude(ended_at=None).values_list("pk", "status", "reason", "ended_at")
        }
        for key, row in self.final.items():
            assert found.get(key) == row, f"what was final has changed: {row} to {found.get(key)}"
        self.final = found

    def _check_everything(self) -> None:
        self._check_rows()
        self._drain()
        self.what_is_final_stays()
        self._check_rows()
        for execution in self.executions:
            execution.refresh_from_db()
            assert execution.is_final or self._waits(execution), f"{execution} is lost: {self._shown(execution)}"

    def _check_rows(self) -> None:
        for execution in self.executions:
            check_history(execution)
            self._check_visits(execution)
        effects = self._runs().filter(effect="unknown", status="uncertain")
        for run in effects:
            assert Review.objects.filter(step_run=run, status="open").count() == 1

    def _check_visits(self, execution: Execution) -> None:
        loops: dict[tuple[Any, str], list[int]] = {}
        for scope in Scope.objects.filter(execution=execution, opener_step__startswith="while").order_by("position"):
            loops.setdefault((scope.parent_id, scope.opener_step), []).append(scope.position)
        for positions in loops.values():
            assert positions == list(range(1, len(positions) + 1))

    def _drain(self) -> None:
        """Everybody is well again, and nobody answers: every execution ends or waits for something that has a name."""
        for execution in self.executions:
            try:
                resume_execution(execution=execution, actor=SYSTEM, now=NOON)
            except DomainError:
                pass
        for run in self._runs("running"):
            change(run.pk, "lease_until = clock_timestamp()")
        for _ in range(DRAIN):
            moved = sweeping.sweep_once()
            for run in self._runs("pending", "retrying"):
                change(run.pk, "due_at = clock_timestamp()")
                work = claim_step(step_run_id=run.pk, worker="drain")
                if work is not None:
                    record_outcome(work=work, performed=DONE, carry_on=False)
                    moved += 1
            if not moved:
                return
        pytest.fail(f"it still moves after {DRAIN} rounds")

    def _waits(self, execution: Execution) -> bool:
        live = list(StepRun.objects.filter(execution=execution, status__in=LIVE))
        named = [
            ManualRequest.objects.filter(step_run=run, status="open").exists()
            or Review.objects.filter(step_run=run, status="open").exists()
            for run in live
        ]
        # An opener whose question was answered waits for its branches.
        is_listed = [name or run.step_type in OPENERS for name, run in zip(named, live, strict=True)]
        return any(named) and all(is_listed)

    def _shown(self, execution: Execution) -> str:
        live = StepRun.objects.filter(execution=execution, status__in=LIVE)
        return f"{execution.status} with {list(live.values_list('step_id', 'kind', 'status', 'reason', 'scope_path'))}"

    # -- helpers

    def _runs(self, *statuses: str) -> Any:
        runs = StepRun.objects.filter(execution__in=self.executions).order_by("execution", "position")
        return runs.filter(status__in=statuses) if statuses else runs

    def _run(self, number: int, *statuses: str) -> StepRun | None:
        runs = list(self._runs(*statuses))
        return runs[number % len(runs)] if runs else None

    @staticmethod
    def _one_of(works: list[Work], number: int) -> Work | None:
        return works[number % len(works)] if works else None

    def _hold(self, work: Work | None) -> None:
        if work is not None:
            self.held.append(work)

    def _let_go(self, work: Work) -> None:
        self.held.remove(work)
        self.stale.append(work)

    def _record(self, work: Work, outcome: str, *, carry_on: bool) -> None:
        effect_class = self.intended.get((work.run.id, work.run.fence))
        found = OUTCOMES[outcome]() if work.run.kind == "act" else Outcome(OutcomeKind.COMPLETED)
        if effect_class is None and found.sent and found.kind != OutcomeKind.COMPLETED:
            found = OUTCOMES["refused"]()  # without an intent nothing was sent
        performed = Performed(found, effect_class=effect_class or "", is_intended=effect_class is not None)
        self._hold(record_outcome(work=work, performed=performed, carry_on=carry_on))

    def _moved(self, work: Work) -> Any:
        run = StepRun.objects.filter(pk=work.run.id).values_list("status", "fence", "result", "effect", "tries").get()
        made = Execution.objects.filter(pk=work.run.execution_id).values_list("status", "step_runs_made").get()
        return run, made


@pytest.mark.slow
@pytest.mark.django_db
def test_no_history_breaks_what_must_always_hold(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True
    settings.SALLYPORT_STOP_GRACE = timedelta(0)
    run_state_machine_as_test(Histories, settings=PROFILE)


PROFILE = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
