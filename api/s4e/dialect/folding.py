"""Delay steps for CACAO, which knows a delay only as a property of the step that waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from playbooks.cacao.types import END, Step, StepType, Workflow

POINTERS = ("on_completion", "on_success", "on_failure", "on_true", "on_false")


@dataclass(frozen=True)
class Folded:
    """``steps`` without delay steps. ``delays``: step -> the delay steps that became its delay.

    A carrier stands for a delay step whose next step is reached by other ways too, which must not wait: a condition
    that is always true, with an end step for its one path.
    """

    steps: Mapping[str, Step]
    delays: Mapping[str, tuple[str, ...]]
    carriers: frozenset[str]


def fold_delays(workflow: Workflow) -> Folded:
    steps = dict(workflow.steps)
    ways = Counter(target for step in steps.values() for target in pointers(step))
    became: dict[str, str] = {}
    delays: dict[str, tuple[str, ...]] = {}
    carriers: set[str] = set()
    for chain in _chains(steps):
        for delay_id in reversed(chain):
            if delay_id in became or delay_id in carriers:
                continue
            delay = steps[delay_id]
            after = _onward(delay)
            target = became.get(after, after)
            if ways[target] > 1 and steps[target].type == StepType.END:
                ways[target] -= 1
                target = f"{target}:{delay_id}"
                steps[target] = Step(id=target, type=StepType.END)
            if ways[target] > 1:
                steps |= _carrier(delay)
                carriers.add(delay_id)
                continue
            steps[target] = replace(steps[target], delay=steps[target].delay + (delay.wait or timedelta(0)))
            delays[target] = (delay_id, *delays.get(target, ()))
            became[delay_id] = target
            ways[target] = ways[delay_id]
    for delay_id in became:
        del steps[delay_id]
    steps = {step_id: _redirected(step, became) for step_id, step in steps.items()}
    return Folded(steps, delays, frozenset(carriers))


def pointers(step: Step) -> Iterator[str]:
    """Yield every step id that a step leads to, once for each way."""
    for name in POINTERS:
        target = getattr(step, name)
        if target is not None:
            yield target
    yield from step.next_steps


def _carrier(delay: Step) -> dict[str, Step]:
    end = Step(id=f"{END}:{delay.id}:on_true", type=StepType.END)
    carrier = replace(delay, type=StepType.IF, wait=None, delay=delay.wait or timedelta(0), on_true=end.id)
    return {carrier.id: carrier, end.id: end}


def _chains(steps: Mapping[str, Step]) -> Iterator[list[str]]:
    """Yield each delay step with the delay steps that directly follow it."""
    for step in list(steps.values()):
        if step.type == StepType.DELAY:
            chain = [step.id]
            while steps[after := _onward(steps[chain[-1]])].type == StepType.DELAY:
                chain.append(after)
            yield chain


def _onward(step: Step) -> str:
    target = step.on_success or step.on_completion
    assert target is not None
    return target


def _redirected(step: Step, became: Mapping[str, str]) -> Step:
    changed: dict[str, object] = {
        name: became[target] for name in POINTERS if (target := getattr(step, name)) in became
    }
    if any(target in became for target in step.next_steps):
        changed["next_steps"] = tuple(became.get(target, target) for target in step.next_steps)
    return replace(step, **changed) if changed else step  # type: ignore[arg-type]
