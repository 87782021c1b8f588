"""Plays a workflow against the pure engine: an in-memory row store that carries out decisions by the same rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from executions.engine import decide
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
from executions.engine.facts import ROOT, ScopeFact, ScopeStatus
from executions.engine.starting import values_at_start
from executions.engine.statuses import FINAL_STEP, STEP_BEGINNINGS, STEP_MOVES, StepStatus
from executions.engine.variables import public
from playbooks.cacao.types import Workflow

Outcome = Callable[[str, int], Result]


def always_completes(step: str, visit: int) -> Result:
    return Result(StepStatus.COMPLETED)


@dataclass
class Run:
    step: str
    scope: str
    kind: Kind
    status: StepStatus
    reason: str = ""


@dataclass
class Simulation:
    """One execution. ``outcome`` says how each visit of an acting step ends."""

    workflow: Workflow
    outcome: Outcome = always_completes
    given: Mapping[str, Any] = field(default_factory=dict)
    rules: decide.Rules = field(default_factory=lambda: decide.Rules(match=lambda p, t: re.search(p, t) is not None))

    def __post_init__(self) -> None:
        self.scopes: dict[str, ScopeFact] = {
            ROOT: ScopeFact(path=ROOT, variables=values_at_start(self.workflow, self.given))
        }
        self.runs: dict[tuple[str, str], Run] = {}
        self.order: list[tuple[str, str]] = []
        self.moves: list[tuple[StepStatus | None, StepStatus]] = []
        self.ended: Ended | None = None
        self.visits: dict[str, int] = {}
        self.asked: set[tuple[str, str]] = set()

    # -- facts

    def scope(self, path: str) -> ScopeFact | None:
        return self.scopes.get(path)

    def branches(self, opener: str, parent: str) -> Sequence[ScopeFact]:
        return [s for s in self.scopes.values() if s.opener == opener and s.parent == parent]

    def has_open_branch(self, opener: str, parent: str, *, besides: Collection[str]) -> bool:
        left = [branch for branch in self.branches(opener, parent) if branch.path not in besides]
        return any(branch.status == ScopeStatus.OPEN for branch in left)

    def template_context(self, path: str, step_id: str) -> Mapping[str, Any]:
        return {}

    # -- carrying out

    def carry_out(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            match decision:
                case ScopeOpened(scope) | ScopeChanged(scope):
                    self.scopes[scope.path] = scope
                case Opened():
                    self._open(decision)
                case Moved():
                    self._move((decision.step, decision.scope), decision.to, decision.reason)
                case Asked():
                    self.asked.add((decision.step, decision.scope))
                case Stopped(scopes):
                    self._stop(scopes)
                case Ended():
                    assert self.ended is None, "an execution ends once"
                    self.ended = decision

    def _open(self, decision: Opened) -> None:
        key = (decision.step, decision.scope)
        assert key not in self.runs, f"{key} is opened twice"
        assert decision.status in STEP_BEGINNINGS
        self.runs[key] = Run(decision.step, decision.scope, decision.kind, decision.status, decision.reason)
        self.order.append(key)
        if decision.question is not None:
            self.asked.add(key)
        self.moves.append((None, decision.status))

    def _move(self, key: tuple[str, str], to: StepStatus, reason: str = "") -> None:
        run = self.runs[key]
        if run.status == to:
            return
        assert to in STEP_MOVES[run.status], f"{run.status} to {to}"
        self.moves.append((run.status, to))
        run.status, run.reason = to, reason

    def _stop(self, scopes: Sequence[str]) -> None:
        below = {path for path in self.scopes if any(path == s or path.startswith(f"{s}/") for s in scopes)}
        for key, run in self.runs.items():
            if run.status not in FINAL_STEP and run.scope in below:
                self._move(key, StepStatus.CANCELLED)
        for path in below:
            if self.scopes[path].status == ScopeStatus.OPEN:
                self.scopes[path] = replace(self.scopes[path], status=ScopeStatus.STOPPED)

    # -- playing

    def play(self, choose: Callable[[list[Run]], Run] = lambda runs: runs[0]) -> Simulation:
        """Play until nothing can move. ``choose`` picks which of several that could move does."""
        self.carry_out([decide.start(self.workflow)])
        while self.ended is None:
            movable = [run for run in self.runs.values() if self._can_move(run)]
            if not movable:
                break
            self._advance(choose(movable))
        return self

    def _can_move(self, run: Run) -> bool:
        if run.status == StepStatus.PENDING:
            return True
        return run.status == StepStatus.WAITING and (run.kind == Kind.TIMER or (run.step, run.scope) in self.asked)

    def _advance(self, run: Run) -> None:
        step = self.workflow.steps[run.step]
        key, made = (run.step, run.scope), len(self.runs)
        at: dict[str, Any] = {"step": run.step, "scope": run.scope, "made": made}
        if run.kind == Kind.CONTROL and run.status == StepStatus.PENDING:
            self._move(key, StepStatus.RUNNING)
            self.carry_out(self.decided(lambda: decide.go_on(self.workflow, self, self.rules, **at)))
            return
        self.visits[run.step] = self.visits.get(run.step, 0) + 1
        result = self.outcome(run.step, self.visits[run.step])
        self.asked.discard(key)
        if run.status == StepStatus.PENDING:
            self._move(key, StepStatus.RUNNING)
        if not (step.is_opener and result.is_success):
            self._move(key, result.status, result.reason)
        self.carry_out(self.decided(lambda: decide.after(self.workflow, self, self.rules, result=result, **at)))

    def expire(self, run: Run) -> None:
        """The deadline of an opener that waits for its branches passes."""
        self._move((run.step, run.scope), StepStatus.TIMED_OUT, "timed_out")
        at: dict[str, Any] = {"step": run.step, "scope": run.scope, "made": len(self.runs)}
        self.carry_out(self.decided(lambda: decide.expire(self.workflow, self, self.rules, **at)))

    def decided(self, decide_now: Callable[[], list[Decision]]) -> list[Decision]:
        """Decide once; a test may look closer."""
        return decide_now()

    # -- reading

    @property
    def status(self) -> str:
        return self.ended.status.value if self.ended else "waiting"

    @property
    def visited(self) -> list[str]:
        return [step for step, _ in self.order]

    @property
    def variables(self) -> dict[str, Any]:
        return public(self.scopes[ROOT].variables)

    def is_settled(self) -> bool:
        """Everything that was opened is final once the execution has ended."""
        return self.ended is None or all(run.status in FINAL_STEP for run in self.runs.values())
