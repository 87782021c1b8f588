"""What holds for every workflow, whatever the outcomes and in whatever order they come."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from executions.engine import decide
from executions.engine.decisions import Decision, Kind, Opened, ScopeChanged, ScopeOpened
from executions.engine.facts import ScopeStatus
from executions.engine.statuses import FINAL_STEP, STEP_MOVES, StepStatus
from playbooks.cacao import stored
from tests.engine.random_workflows import make_outcome, make_workflow
from tests.engine.simulation import Run, Simulation

RULES = decide.Rules(match=lambda _, __: False, loop_limit=4)
seeds = st.integers(min_value=0, max_value=2**32)
FACTS = settings(max_examples=150, deadline=None)


def simulate(seed: int, kind: type[Simulation] = Simulation, *, people: bool = True) -> Simulation:
    return kind(make_workflow(Random(seed), people=people), make_outcome(seed), rules=RULES)


def at_random(seed: int) -> Callable[[list[Run]], Run]:
    return Random(seed).choice


@FACTS
@given(seeds, seeds)
def test_an_execution_whose_questions_are_answered_ends_and_leaves_nothing_live(seed: int, order: int) -> None:
    played = simulate(seed).play(at_random(order))

    assert played.ended is not None
    assert played.is_settled()
    assert all(scope.status != ScopeStatus.OPEN for path, scope in played.scopes.items() if path)


@FACTS
@given(seeds, seeds, st.integers(0, 30))
def test_an_execution_that_has_not_ended_has_something_that_can_be_named(seed: int, order: int, steps: int) -> None:
    simulation = simulate(seed)
    choose, left = at_random(order), [steps]

    class Enough(Exception):
        pass

    def limited(runs: list[Run]) -> Run:
        left[0] -= 1
        if left[0] < 0:
            raise Enough
        return choose(runs)

    try:
        simulation.play(limited)
    except Enough:
        live = [run for run in simulation.runs.values() if run.status not in FINAL_STEP]
        assert [run for run in live if run.kind != Kind.OPENER], "only openers are live, and nothing is in them"


@FACTS
@given(seeds, seeds)
def test_the_result_does_not_depend_on_the_order_of_events(seed: int, order: int) -> None:
    first, second = simulate(seed).play(), simulate(seed).play(at_random(order))

    assert first.ended == second.ended
    assert first.variables == second.variables
    assert {key: run.status for key, run in first.runs.items()} == {k: run.status for k, run in second.runs.items()}


class LookingCloser(Simulation):
    """Decides everything twice and carries everything out twice."""

    def decided(self, decide_now: Callable[[], list[Decision]]) -> list[Decision]:
        before = copy.deepcopy((self.scopes, self.runs))
        first, second = decide_now(), decide_now()
        assert first == second, "the same facts give the same decisions"
        assert (self.scopes, self.runs) == before, "deciding changes nothing"
        return first

    def carry_out(self, decisions: list[Decision]) -> None:  # type: ignore[override]
        super().carry_out(decisions)
        before = copy.deepcopy((self.scopes, self.runs))
        for decision in decisions:
            self._again(decision)
        assert (self.scopes, self.runs) == before, "what is carried out twice changes nothing"

    def _again(self, decision: Decision) -> None:
        """As the rows do it: inserted unless there, moved only from where the table allows it."""
        match decision:
            case Opened():
                assert (decision.step, decision.scope) in self.runs
            case ScopeOpened(scope):
                assert scope.path in self.scopes
            case ScopeChanged():
                super().carry_out([decision])

    def _move(self, key: tuple[str, str], to: StepStatus, reason: str = "") -> None:
        old = self.runs[key].status
        assert old == to or to in STEP_MOVES[old], f"{old} to {to}"
        super()._move(key, to, reason)


@FACTS
@given(seeds, seeds)
def test_the_same_facts_give_the_same_decisions_and_doing_them_twice_changes_nothing(seed: int, order: int) -> None:
    assert simulate(seed, LookingCloser).play(at_random(order)).ended is not None


@FACTS
@given(seeds, seeds, st.integers(0, 20))
def test_an_opener_whose_time_is_over_takes_everything_in_it_along(seed: int, order: int, after: int) -> None:
    simulation = simulate(seed)
    choose, left = at_random(order), [after]

    def expiring(runs: list[Run]) -> Run:
        left[0] -= 1
        openers = [r for r in simulation.runs.values() if r.kind == Kind.OPENER and r.status == StepStatus.WAITING]
        if left[0] == 0 and openers:
            opener = choose(openers)
            simulation.expire(opener)
            inside = [r for r in simulation.runs.values() if r.scope != opener.scope and _is_in(simulation, r, opener)]
            assert all(run.status in FINAL_STEP for run in inside)
            runs = [run for run in simulation.runs.values() if simulation._can_move(run)]
        return choose(runs) if runs and simulation.ended is None else _Nothing

    simulation._advance = _unless_nothing(simulation._advance)  # type: ignore[assignment, method-assign]
    simulation.play(expiring)

    assert simulation.ended is not None
    assert simulation.is_settled()


_Nothing = Run("", "", Kind.CONTROL, StepStatus.COMPLETED)


def _unless_nothing(advance: Callable[[Run], None]) -> Callable[[Run], None]:
    return lambda run: None if run is _Nothing else advance(run)


def _is_in(simulation: Simulation, run: Run, opener: Run) -> bool:
    """Whether a step run stands in a branch of ``opener``."""
    path: str | None = run.scope
    while path is not None:
        scope = simulation.scopes[path]
        if scope.opener == opener.step and scope.parent == opener.scope:
            return True
        path = scope.parent
    return False


@FACTS
@given(seeds)
def test_a_workflow_that_was_stored_decides_as_before(seed: int) -> None:
    fresh = simulate(seed)
    kept = simulate(seed)
    kept.workflow = stored.from_json(stored.to_json(fresh.workflow))

    assert fresh.play().order == kept.play().order
