"""Decides what happens next in an execution.

A decision is a pure function of the pinned workflow and the stored facts: the same facts give the same
decisions, and carrying them out twice changes nothing. Source: CACAO.md 12, EXECUTION-SEMANTICS 10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from executions.engine import questions, verdicts
from executions.engine.decisions import (
    Asked,
    Decision,
    Ended,
    Kind,
    Moved,
    Opened,
    Result,
    ScopeChanged,
    ScopeOpened,
    Stopped,
)
from executions.engine.facts import EXCEPTION, ROOT, Facts, ScopeFact, ScopeStatus, child_path
from executions.engine.statuses import ExecutionStatus, StepStatus
from executions.engine.variables import Scopes, first_values, public
from playbooks.cacao.types import QuestionKind, Step, StepType, Value, Workflow

LOOP_LIMIT = 1_000
STEP_RUN_LIMIT = 10_000


@dataclass(frozen=True)
class Rules:
    """What an execution may decide by itself. ``match`` is a linear-time search(pattern, text)."""

    match: Callable[[str, str], bool]
    stop_on_failure: bool = False
    dry_run: bool = False
    loop_limit: int = LOOP_LIMIT
    step_run_limit: int = STEP_RUN_LIMIT


def start(workflow: Workflow) -> Opened:
    """Open the start step; a worker claims it, so that accepting a start stays small."""
    step = workflow.steps[workflow.start]
    return Opened(step.id, ROOT, StepStatus.PENDING, _kind_of(step), delay=step.delay, timeout=step.timeout)


def go_on(workflow: Workflow, facts: Facts, rules: Rules, *, step: str, scope: str, made: int) -> list[Decision]:
    """A control step whose turn has come (its delay is over) does what it is there for."""
    walk = Walk(workflow, facts, rules, made=made)
    walk.act(workflow.steps[step], scope, is_stored=True)
    return walk.run()


def after(
    workflow: Workflow, facts: Facts, rules: Rules, *, step: str, scope: str, result: Result, made: int
) -> list[Decision]:
    """A step run came to ``result``: write its variables and follow the flow."""
    walk = Walk(workflow, facts, rules, made=made)
    walk.settle(workflow.steps[step], scope, result)
    return walk.run()


def expire(workflow: Workflow, facts: Facts, rules: Rules, *, step: str, scope: str, made: int) -> list[Decision]:
    """An opener's own deadline passed: its branches are stopped, then it fails (12.13)."""
    walk = Walk(workflow, facts, rules, made=made)
    walk.stop_branches(workflow.steps[step], scope)
    walk.settle(workflow.steps[step], scope, Result(StepStatus.TIMED_OUT, "timed_out", "its time is over"))
    return walk.run()


def _kind_of(step: Step) -> Kind:
    if step.type == StepType.PLAYBOOK_ACTION:
        return Kind.CHILD
    if step.type == StepType.ACTION and step.question is None:
        return Kind.ACT
    return Kind.CONTROL


class Walk:
    """One decision in the making. Iterative: the agenda holds what is still to be looked at, last in first out."""

    def __init__(self, workflow: Workflow, facts: Facts, rules: Rules, *, made: int) -> None:
        self.workflow = workflow
        self.facts = facts
        self.rules = rules
        self.made = made
        self.scopes = Scopes(workflow, facts)
        self.decisions: list[Decision] = []
        self.agenda: list[Callable[[], None]] = []
        self.is_over = False
        self._told: dict[str, ScopeFact] = {}

    def run(self) -> list[Decision]:
        while self.agenda and not self.is_over:
            self.agenda.pop()()
        for path, scope in self.scopes.changed.items():
            if self._told.get(path) != scope:
                self.decisions.append(ScopeChanged(scope))
        return self.decisions

    # -- entering a step

    def opened(
        self,
        step: Step,
        path: str,
        status: StepStatus,
        kind: Kind,
        *,
        delay: timedelta = timedelta(0),
        wait: timedelta | None = None,
        reason: str = "",
        message: str = "",
        verdict: dict[str, object] | None = None,
        question: str | None = None,
    ) -> None:
        self.decisions.append(
            Opened(
                step=step.id,
                scope=path,
                status=status,
                kind=kind,
                delay=delay,
                timeout=step.timeout,
                wait=wait,
                reason=reason,
                message=message,
                verdict=verdict,
                question=question,
            )
        )
        self.made += 1

    def enter(self, step_id: str, path: str) -> None:
        """Visit a step, or end the branch where the edge leads out of it (D14, loop-back)."""
        if self._leads_out(step_id, path):
            self.close(path, ScopeStatus.ENDED)
            return
        if self.made >= self.rules.step_run_limit:
            self.end(ExecutionStatus.FAILED, "limit", f"more than {self.rules.step_run_limit} step runs")
            return
        step = self.workflow.steps[step_id]
        if step.delay and not (self.rules.dry_run):
            self.opened(step, path, StepStatus.PENDING, _kind_of(step), delay=step.delay)
        else:
            self.act(step, path, is_stored=False)

    def _leads_out(self, step_id: str, path: str) -> bool:
        for scope in self.scopes.chain(path):
            opener = self.workflow.steps.get(scope.opener)
            if opener is None:
                continue
            if opener.type == StepType.PARALLEL and opener.join == step_id:
                return True
            if opener.type == StepType.WHILE and opener.id == step_id:
                return True
        return False

    def act(self, step: Step, path: str, *, is_stored: bool) -> None:
        """Do what the step is there for. ``is_stored``: its step run exists and is running."""
        match step.type:
            case StepType.START:
                self._control_done(step, path, is_stored)
                self.follow(step.on_completion or step.on_success, path)
            case StepType.END:
                self._control_done(step, path, is_stored)
                self.close(path, ScopeStatus.ENDED)
            case StepType.ACTION if step.question is not None:
                self._ask(step, path, is_stored)
            case StepType.DELAY:
                wait = timedelta(0) if self.rules.dry_run else step.wait or timedelta(0)
                self._waiting(step, path, is_stored, Kind.TIMER, wait=wait)
            case StepType.PARALLEL:
                self._open_parallel(step, path, is_stored)
            case StepType.IF | StepType.SWITCH | StepType.WHILE:
                self._decide_branch(step, path, is_stored, visit=1, frame=first_values(step.variables))
            case _:
                self.opened(step, path, StepStatus.PENDING, _kind_of(step))

    def _control_done(self, step: Step, path: str, is_stored: bool, verdict: dict[str, object] | None = None) -> None:
        if is_stored:
            self.decisions.append(Moved(step.id, path, StepStatus.COMPLETED, verdict=verdict))
        else:
            self.opened(step, path, StepStatus.COMPLETED, Kind.CONTROL, verdict=verdict)

    def _waiting(
        self,
        step: Step,
        path: str,
        is_stored: bool,
        kind: Kind,
        *,
        wait: timedelta | None = None,
        verdict: dict[str, object] | None = None,
        question: str | None = None,
    ) -> None:
        if is_stored:
            self.decisions.append(Moved(step.id, path, StepStatus.WAITING, verdict=verdict))
            if question is not None:
                self.decisions.append(Asked(step.id, path, question))
        else:
            self.opened(step, path, StepStatus.WAITING, kind, wait=wait, verdict=verdict, question=question)

    def _failed(self, step: Step, path: str, is_stored: bool, kind: Kind, reason: str, message: str) -> None:
        if is_stored:
            self.decisions.append(Moved(step.id, path, StepStatus.FAILED, reason, message))
        else:
            self.opened(step, path, StepStatus.FAILED, kind, reason=reason, message=message)
        self.failed(step, path, Result(StepStatus.FAILED, reason, message))

    def _ask(self, step: Step, path: str, is_stored: bool) -> None:
        assert step.question is not None
        if self.rules.dry_run:
            self._control_done(step, path, is_stored)
            self.succeeded(step, path)
            return
        try:
            text = questions.text_of(step, step.question, self.scopes, self.facts, path)
            if len(step.commands) > 1:
                questions.texts_of(step, self.scopes, self.facts, path)  # each is shown, so each must have its values
        except questions.CannotAsk as error:
            self._failed(step, path, is_stored, Kind.REQUEST, error.reason, str(error))
            return
        self._waiting(step, path, is_stored, Kind.REQUEST, question=text)

    # -- openers

    def _open_parallel(self, step: Step, path: str, is_stored: bool) -> None:
        if not step.next_steps:
            self._control_done(step, path, is_stored)
            self.succeeded(step, path)
            return
        self._waiting(step, path, is_stored, Kind.OPENER)
        for position, first in reversed(list(enumerate(step.next_steps, start=1))):
            branch = self._branch(step, path, str(position), position, first_values(step.variables))
            self.agenda.append(lambda first=first, branch=branch: self.enter(first, branch))  # type: ignore[misc]

    def _branch(self, step: Step, path: str, key: str, position: int, variables: dict[str, Value]) -> str:
        scope = ScopeFact(
            path=child_path(path, step.id, step.type, key),
            parent=path,
            opener=step.id,
            key=key,
            position=position,
            is_isolated=step.type == StepType.PARALLEL,
            variables=variables,
        )
        self.scopes.put(scope)
        self._told[scope.path] = scope
        self.decisions.append(ScopeOpened(scope))
        return scope.path

    def _decide_branch(self, step: Step, path: str, is_stored: bool, *, visit: int, frame: dict[str, Value]) -> None:
        """Evaluate a condition or a switch, or ask a person where only a person can."""
        if verdicts.needs_a_person(step):
            self._ask_for_verdict(step, path, is_stored)
            return
        try:
            verdict = verdicts.evaluate(step, self.scopes, self.facts, path, frame, self.rules.match)
        except verdicts.CannotDecide as error:
            self._failed(step, path, is_stored, Kind.OPENER, error.reason, str(error))
            return
        self._take(step, path, is_stored, verdict, visit=visit, frame=frame)

    def _ask_for_verdict(self, step: Step, path: str, is_stored: bool) -> None:
        assert step.question is not None
        try:
            text = questions.text_of(step, step.question, self.scopes, self.facts, path)
        except questions.CannotAsk as error:
            self._failed(step, path, is_stored, Kind.OPENER, error.reason, str(error))
            return
        self._waiting(step, path, is_stored, Kind.REQUEST, question=text)

    def _take(
        self, step: Step, path: str, is_stored: bool, verdict: bool | str | None, *, visit: int, frame: dict[str, Value]
    ) -> None:
        """Go into the branch that the verdict names, or past the step where it names none."""
        first, key = verdicts.branch_of(step, verdict)
        noted: dict[str, object] = {"verdict": verdict}
        if step.type == StepType.WHILE:
            noted, key = {"visits": visit - 1}, str(visit)
            if first is not None and visit > self.rules.loop_limit:
                message = f"more than {self.rules.loop_limit} visits of the loop"
                self._failed(step, path, is_stored, Kind.OPENER, "limit", message)
                return
        if first is None:
            self._control_done(step, path, is_stored, noted)
            self.succeeded(step, path)
            return
        if not is_stored or visit == 1:
            self._waiting(step, path, is_stored, Kind.OPENER, verdict=noted)
        branch = self._branch(step, path, key, visit, frame)
        self.agenda.append(lambda: self.enter(first, branch))

    def stop_branches(self, step: Step, path: str) -> None:
        open_ones = [branch for branch in self.scopes.branches(step.id, path) if branch.status == ScopeStatus.OPEN]
        for branch in open_ones:
            stopped = replace(branch, status=ScopeStatus.STOPPED)
            self.scopes.put(stopped)
        if open_ones:
            self.decisions.append(Stopped(tuple(branch.path for branch in open_ones)))

    # -- leaving a step

    def settle(self, step: Step, path: str, result: Result) -> None:
        """A step run ended, or a person gave the verdict that an opener waits for."""
        for name, value in result.values.items():
            self._write(step, name, value, path)
        if step.is_opener and result.is_success:
            visit = len(self.scopes.branches(step.id, path)) + 1
            frame = self._frame(step, path)
            # A scripted verdict comes from a worker, so the step run is running and has to wait again.
            self.decisions.append(Moved(step.id, path, StepStatus.WAITING))
            self._take(step, path, True, result.verdict, visit=visit, frame=frame)
        elif result.is_success:
            self.succeeded(step, path)
        else:
            self.failed(step, path, result)

    def _write(self, step: Step, name: str, value: Value, path: str) -> None:
        if name not in step.variables or name in step.promoted:
            self.scopes.write(name, value, path)

    def _frame(self, step: Step, path: str) -> dict[str, Value]:
        """An opener's own variables as its last visit left them."""
        visits = self.scopes.branches(step.id, path)
        return dict(public(visits[-1].variables)) if visits else first_values(step.variables)

    def succeeded(self, step: Step, path: str) -> None:
        self.follow(step.on_success or step.on_completion, path)

    def failed(self, step: Step, path: str, result: Result) -> None:
        """Follow the failure edge, or break the branch (12.2, D4, D6, D7)."""
        self.scopes.note_failure(step.id, result.reason, path)
        passes_over = not step.is_opener and not self.rules.stop_on_failure
        takes_up = not step.on_failure_reasons or result.reason in step.on_failure_reasons
        target = (step.on_failure if takes_up else None) or (step.on_completion if passes_over else None)
        if target is not None:
            self.follow(target, path)
        else:
            self.close(path, ScopeStatus.BROKE, result)

    def follow(self, target: str | None, path: str) -> None:
        if target is None:
            self.close(path, ScopeStatus.ENDED)
        else:
            self.agenda.append(lambda: self.enter(target, path))

    # -- closing a scope

    def close(self, path: str, how: ScopeStatus, result: Result | None = None) -> None:
        if path == ROOT:
            self._close_root(how, result)
            return
        scope = replace(self.scopes.get(path), status=how)
        self.scopes.put(scope)
        if path == EXCEPTION:
            self.end(ExecutionStatus.FAILED, scope.key, "", exception_handled=how == ScopeStatus.ENDED)
            return
        assert scope.parent is not None
        opener = self.workflow.steps[scope.opener]
        if opener.type == StepType.PARALLEL:
            self._join(opener, scope.parent, broke=how == ScopeStatus.BROKE)
        elif how == ScopeStatus.BROKE:
            self._opener_broke(opener, scope.parent)
        elif opener.type == StepType.WHILE:
            self._again(opener, scope.parent, scope)
        else:
            self._opener_done(opener, scope.parent)

    def _close_root(self, how: ScopeStatus, result: Result | None) -> None:
        if how == ScopeStatus.ENDED:
            self.end(ExecutionStatus.COMPLETED)
            return
        assert result is not None
        handler = self.workflow.exception
        if handler is None or self.scopes.exists(EXCEPTION):
            self.end(ExecutionStatus.FAILED, result.reason, result.message)
            return
        scope = ScopeFact(path=EXCEPTION, parent=ROOT, key=result.reason)
        self.scopes.put(scope)
        self._told[EXCEPTION] = scope
        self.decisions.append(ScopeOpened(scope))
        self.agenda.append(lambda: self.enter(handler, EXCEPTION))

    def _join(self, opener: Step, path: str, *, broke: bool) -> None:
        """Go on once every branch is closed; merge their writes in the order of next_steps (D12, D13)."""
        if broke and opener.fail_fast:
            self.stop_branches(opener, path)
        if self.scopes.has_open_branch(opener.id, path):
            return  # asked first: of many branches all but the last end here
        branches = self.scopes.branches(opener.id, path)
        if len(branches) < len(opener.next_steps):
            return
        for branch in branches:
            for name, value in branch.writes.items():
                self.scopes.write(name, value, path)
        if any(branch.status == ScopeStatus.BROKE for branch in branches):
            self._opener_broke(opener, path)
        else:
            self._opener_done(opener, path)

    def _again(self, loop: Step, path: str, ended: ScopeFact) -> None:
        """A visit of a loop ended: evaluate anew (D15)."""
        frame = dict(public(ended.variables))
        visit = ended.position + 1
        if verdicts.needs_a_person(loop):
            assert loop.question is not None
            try:
                text = questions.text_of(loop, loop.question, self.scopes, self.facts, path)
            except questions.CannotAsk as error:
                self._failed(loop, path, True, Kind.OPENER, error.reason, str(error))
                return
            self.decisions.append(Asked(loop.id, path, text))
            return
        self._decide_branch(loop, path, True, visit=visit, frame=frame)

    def _opener_done(self, opener: Step, path: str) -> None:
        self.decisions.append(Moved(opener.id, path, StepStatus.COMPLETED))
        self.succeeded(opener, path)

    def _opener_broke(self, opener: Step, path: str) -> None:
        result = Result(StepStatus.FAILED, "branch_failed", "a branch of this step failed")
        self.decisions.append(Moved(opener.id, path, StepStatus.FAILED, result.reason, result.message))
        self.failed(opener, path, result)

    def end(
        self, status: ExecutionStatus, reason: str = "", message: str = "", exception_handled: bool | None = None
    ) -> None:
        self.decisions.append(Ended(status, reason, message, exception_handled))
        self.is_over = True


def scopes_of(decisions: Sequence[Decision]) -> list[str]:
    """Paths of the scopes that these decisions open."""
    return [decision.scope.path for decision in decisions if isinstance(decision, ScopeOpened)]


def is_approval(step: Step) -> bool:
    return step.question is not None and step.question.kind == QuestionKind.APPROVAL
