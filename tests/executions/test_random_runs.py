"""Random workflows run through the rows, disturbed at random: every one ends, by legal moves that its events tell."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest

from core.actors import SYSTEM
from core.errors import DomainError
from executions.models import Event, Execution, Scope, StepRun
from executions.selectors import final_variables
from executions.services import cancel_execution, pause_execution, resume_execution
from executions.services.claiming import Work, claim_step
from executions.services.handing_back import hand_back
from executions.services.recording import record_outcome
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from manual.models import ManualRequest
from manual.services import VERDICT
from playbooks.cacao.types import Workflow
from tests.engine.random_workflows import make_workflow
from tests.executions.acting import DONE, answer, change, lose
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start

ENOUGH = 400


class Play:
    """One execution in the hands of a random number."""

    def __init__(self, execution: Execution, random: Random, *, disturb: float) -> None:
        self.execution, self.random, self.disturb = execution, random, disturb
        self.held: list[Work] = []

    def to_the_end(self) -> Execution:
        for _ in range(ENOUGH):
            self.execution.refresh_from_db()
            if self.execution.is_final:
                return self.execution
            self.once()
        pytest.fail(f"it is still {self.execution.status}")

    def once(self) -> None:
        if self.random.random() < self.disturb:
            self.random.choice((self.hold, self.release, self.lose_one, self.freeze, self.late))()
        due = list(self._runs("pending", "retrying"))
        waiting = list(ManualRequest.objects.filter(execution=self.execution, status="open"))
        if waiting and (not due or self.random.random() < 0.3):
            self._answer(self.random.choice(waiting))
        elif due:
            run = self.random.choice(due)
            change(run.pk, "due_at = clock_timestamp()")
            run_from(run.pk)
        else:
            for work in self.held:
                lose(work)
        sweep_once()

    def _runs(self, *statuses: str) -> Any:
        return StepRun.objects.filter(execution=self.execution, status__in=statuses).order_by("position")

    def _answer(self, request: ManualRequest) -> None:
        values = {VERDICT: self.random.choice(("true", "false"))} if request.kind == "decision" else {}
        answer(request, values, success=self.random.random() < 0.8)

    def hold(self) -> None:
        pause_execution(execution=self.execution, actor=SYSTEM, now=NOON)
        sweep_once()
        self.release()

    def release(self) -> None:
        resume_execution(execution=self.execution, actor=SYSTEM, now=NOON)

    def freeze(self) -> None:
        """A worker claims and then does nothing."""
        for run in self._runs("pending")[:1]:
            work = claim_step(step_run_id=run.pk, worker="frozen")
            if work is not None:
                self.held.append(work)

    def lose_one(self) -> None:
        if self.held:
            lose(self.random.choice(self.held))
            sweep_once()

    def late(self) -> None:
        """A worker that was frozen wakes up, whatever has become of its step."""
        if self.held:
            work = self.held.pop(self.random.randrange(len(self.held)))
            if self.random.random() < 0.5:
                hand_back(work)
            else:
                record_outcome(work=work, performed=DONE, carry_on=False)


def script_of(workflow: Workflow, random: Random) -> dict[str, Any]:
    """Outcomes for the fake connector: some fail, some are timed out."""
    results = ("success", "success", "success", "failure", "timeout")
    return {
        step: [{"result": random.choice(results)} for _ in range(2)]
        for step in workflow.steps
        if step.startswith("act")
    }


@pytest.mark.parametrize("seed", range(40))
def test_a_random_execution_ends_by_legal_moves_whatever_disturbs_it(
    start: Start, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(seed)
    workflow = make_workflow(random, size=8, people=False)
    execution = start(workflow, script=script_of(workflow, random), loop_limit=3)
    with caplog.at_level(logging.ERROR):
        Play(execution, random, disturb=0.3).to_the_end()

    check_history(execution)
    check_settled(execution)
    assert [record.message for record in caplog.records if "alarm.poison" not in record.message] == []


@pytest.mark.parametrize("seed", range(40, 60))
def test_one_with_people_ends_too(start: Start, seed: int) -> None:
    random = Random(seed)
    execution = start(make_workflow(random, size=8), dry_run=False, loop_limit=3)
    Play(execution, random, disturb=0.2).to_the_end()

    check_history(execution)
    check_settled(execution)


@pytest.mark.parametrize("seed", range(60, 80))
def test_one_that_is_cancelled_at_a_random_moment_starts_nothing_more(start: Start, seed: int, settings: Any) -> None:
    random = Random(seed)
    workflow = make_workflow(random, size=8, people=False)
    execution = start(workflow, script=script_of(workflow, random), loop_limit=3)
    playing = Play(execution, random, disturb=0.3)
    for _ in range(random.randint(0, 12)):
        execution.refresh_from_db()
        if not execution.is_final:
            playing.once()
    try:
        cancel_execution(execution=execution, actor=SYSTEM, now=NOON)
    except DomainError:
        execution.refresh_from_db()
        assert execution.is_final
        return
    claims = Event.objects.filter(execution=execution, type="step.claimed").count()
    for run in StepRun.objects.filter(execution=execution):
        run_from(run.pk)
    settings.SALLYPORT_STOP_GRACE *= 0
    sweep_once()

    execution.refresh_from_db()
    assert execution.status == "cancelled"
    assert Event.objects.filter(execution=execution, type="step.claimed").count() == claims
    check_history(execution)
    check_settled(execution)


@pytest.mark.parametrize("seed", range(80, 90))
def test_disturbances_change_neither_the_end_nor_the_variables(start: Start, seed: int) -> None:
    workflow = make_workflow(Random(seed), size=8, people=False)
    script = script_of(workflow, Random(seed))
    ends: list[tuple[str, str, dict[str, Any]]] = []
    for disturb in (0.0, 0.0, 0.4):
        execution = start(workflow, script=script, loop_limit=3)
        Play(execution, Random(seed + len(ends)), disturb=disturb).to_the_end()
        if not StepRun.objects.filter(execution=execution, reason="poison").exists():
            ends.append((execution.status, execution.reason, final_variables(execution)))

    assert all(found == ends[0] for found in ends)


def check_settled(execution: Execution) -> None:
    """Nothing in an execution that has ended is live."""
    assert not StepRun.objects.filter(execution=execution, ended_at=None).exists()
    assert not ManualRequest.objects.filter(execution=execution, status="open").exists()
    if execution.status == "completed":
        assert not Scope.objects.filter(execution=execution, status="open").exclude(path="").exists()
