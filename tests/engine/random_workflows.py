"""Valid workflows made at random: sequences of steps, parallels, choices and loops, nested a few levels deep."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from executions.engine.decisions import Result
from executions.engine.statuses import StepStatus
from playbooks.cacao import conditions
from playbooks.cacao.types import Command, Question, QuestionKind, Step, StepType, Variable, Workflow
from tests.engine.simulation import Outcome

NAMES = ("__a__", "__b__", "__c__")
VALUES = ("", "x", "y", "z")


def make_workflow(random: Random, *, size: int = 12, people: bool = True) -> Workflow:
    """Return a workflow of about ``size`` steps that act, over the variables of NAMES.

    Every branch has an end of its own; loops ask a variable that their body may change. ``people``: questions too.
    """
    making = _Making(random, left=size, people=people)
    first = making.sequence(depth=0)
    handler = making.sequence(depth=2) if random.random() < 0.3 else None
    start = Step(id="start", type=StepType.START, on_completion=first)
    variables = {name: Variable(name, value=random.choice(VALUES)) for name in NAMES}
    return Workflow(start="start", steps={"start": start, **making.steps}, variables=variables, exception=handler)


def make_outcome(seed: int, *, failing: float = 0.2) -> Outcome:
    """Return outcomes that depend on the step and the number of its visit, never on the order of events."""

    def outcome(step: str, visit: int) -> Result:
        random = Random(f"{seed}|{step}|{visit}")
        if random.random() < failing:
            timed_out = random.random() < 0.3
            return (
                Result(StepStatus.TIMED_OUT, "timed_out") if timed_out else Result(StepStatus.FAILED, "command_failed")
            )
        values = {name: random.choice(VALUES) for name in NAMES if random.random() < 0.4}
        verdict = random.choice((True, False)) if step.startswith(("if", "while")) else random.choice(VALUES[1:])
        return Result(StepStatus.COMPLETED, values=values, verdict=verdict)

    return outcome


@dataclass
class _Making:
    random: Random
    left: int
    people: bool
    steps: dict[str, Step] = field(default_factory=dict)

    def sequence(self, *, depth: int) -> str:
        """Make some steps one after the other and an end; return the id of the first."""
        following = self.add(Step(id=self.name("end"), type=StepType.END)).id
        for _ in range(self.random.randint(0 if depth else 1, 3)):
            following = self.step(following, depth=depth)
        return following

    def step(self, following: str, *, depth: int) -> str:
        self.left -= 1
        kinds = ["act", "act", "act"] + (["ask"] if self.people else [])
        if depth < 3 and self.left > 0:
            kinds += ["parallel", "if", "while", "switch"]
        kind = self.random.choice(kinds)
        made = getattr(self, f"make_{kind}")(self.pointers(following), depth)
        return self.add(made).id

    def pointers(self, following: str) -> dict[str, Any]:
        """The ways to go on: always the same step, or another one after a failure, or none after it."""
        match self.random.randrange(4):
            case 0:
                return {"on_completion": following}
            case 1:
                return {"on_success": following, "on_failure": self.name_of_end()}
            case 2:
                return {"on_success": following, "on_failure": following}
        return {"on_success": following}

    def make_act(self, pointers: dict[str, Any], depth: int) -> Step:
        return Step(
            id=self.name("act"), type=StepType.ACTION, commands=(Command("bash", text="true"),), **pointers
        )  # fmt: skip

    def make_ask(self, pointers: dict[str, Any], depth: int) -> Step:
        return Step(
            id=self.name("ask"), type=StepType.ACTION, question=Question(QuestionKind.INPUT, "?"), **pointers
        )  # fmt: skip

    def make_parallel(self, pointers: dict[str, Any], depth: int) -> Step:
        entries = tuple(self.sequence(depth=depth + 1) for _ in range(self.random.randint(2, 3)))
        return Step(id=self.name("parallel"), type=StepType.PARALLEL, next_steps=entries, **pointers)

    def make_if(self, pointers: dict[str, Any], depth: int) -> Step:
        on_false = self.sequence(depth=depth + 1) if self.random.random() < 0.5 else None
        return Step(
            id=self.name("if"), type=StepType.IF, on_true=self.sequence(depth=depth + 1), on_false=on_false,
            **self.decided(), **pointers,
        )  # fmt: skip

    def make_while(self, pointers: dict[str, Any], depth: int) -> Step:
        return Step(
            id=self.name("while"), type=StepType.WHILE, on_true=self.sequence(depth=depth + 1),
            **self.decided(), **pointers,
        )  # fmt: skip

    def make_switch(self, pointers: dict[str, Any], depth: int) -> Step:
        keys = self.random.sample(VALUES[1:], 2) + (["default"] if self.random.random() < 0.5 else [])
        cases = {key: self.sequence(depth=depth + 1) for key in keys}
        return Step(
            id=self.name("switch"), type=StepType.SWITCH, switch=self.random.choice(NAMES), cases=cases, **pointers
        )  # fmt: skip

    def decided(self) -> dict[str, Any]:
        """What tells which way to go: a variable, or a person."""
        if self.people and self.random.random() < 0.3:
            return {"question": Question(QuestionKind.DECISION, "really?")}
        name, value = self.random.choice(NAMES), self.random.choice(VALUES)
        text = f"{name}:value {self.random.choice(('=', '!='))} '{value}'"
        return {"condition": dict(conditions.parse(text, lenient=False, declared=NAMES).ast)}

    def name_of_end(self) -> str:
        return self.add(Step(id=self.name("end"), type=StepType.END)).id

    def name(self, kind: str) -> str:
        return f"{kind}-{len(self.steps)}-{self.random.randrange(10**6)}"

    def add(self, step: Step) -> Step:
        assert step.id not in self.steps
        self.steps[step.id] = step
        return step
