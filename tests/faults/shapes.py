"""The playbooks of the load. What a step is called says what it is, and the path it calls how the far side behaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

from playbooks.cacao import conditions
from playbooks.cacao.types import (
    Operation,
    OutputMapping,
    Question,
    QuestionKind,
    Step,
    StepType,
    Variable,
    Workflow,
)

STEPS = 10
#: what steps are, in percent
KINDS = {"keyed": 40, "idempotent": 20, "probe": 10, "unsafe": 15, "manual": 5, "delay": 5, "child": 5}
#: how the far side behaves, in percent; ``once``: the first time only, so that a second try can succeed
MODES = {"ok": 80, "slow:300": 10, "once:err-before": 4, "once:err-after": 3, "once:cut": 2, "once:cut-before": 1}
#: a far side without faults of its own, where the scenario counts what only its own fault may have made
GENTLE = {"ok": 80, "slow:300": 20}
#: steps that call the ledger; the first word of a step's name
ACTING = ("keyed", "idempotent", "probe", "unsafe")
GO_ON = "__more__"


@dataclass(frozen=True)
class Mix:
    kinds: Mapping[str, int] = field(default_factory=lambda: KINDS)
    modes: Mapping[str, int] = field(default_factory=lambda: MODES)
    steps: int = STEPS
    is_structured: bool = True  # parallels and loops


def workflow_of(random: Random, mix: Mix, *, number: int, child: str) -> Workflow:
    """Make the playbook with this number: one in five has four parallel branches, one in five a loop of three visits.

    ``child``: the CACAO id of the playbook that ``child`` steps start.
    """
    maker = _Maker(random, mix, child)
    steps = [maker.step() for _ in range(mix.steps)]
    parts: list[list[Step]] = [[step] for step in steps]
    if mix.is_structured and number % 5 == 1 and len(steps) >= 5:
        at = random.randrange(len(steps) - 4)
        parts[at : at + 4] = [maker.parallel(steps[at : at + 4])]
    if mix.is_structured and number % 5 == 2 and len(steps) >= 4:
        at = random.randrange(len(steps) - 3)
        parts[at : at + 3] = [maker.loop()]
    return chained(parts)


def chained(parts: Sequence[Sequence[Step]]) -> Workflow:
    """Chain parts, the first step of each being its entry. A failed step is followed like a completed one."""
    entries = [part[0].id for part in parts]
    steps = {"start": Step(id="start", type=StepType.START, on_completion=entries[0])}
    for part, following in zip(parts, [*entries[1:], "end"], strict=True):
        for position, step in enumerate(part):
            steps[step.id] = replace(step, on_completion=following) if position == 0 else step
    steps["end"] = Step(id="end", type=StepType.END)
    return Workflow(start="start", steps=steps, variables={GO_ON: Variable(GO_ON, value="yes")})


def calling(kind: str, name: str, mode: str, **more: Any) -> Step:
    """A step that asks the ledger for an effect of one class."""
    if kind == "probe":
        parameters: dict[str, Any] = {"connection": "chat", "channel": "C0FAULTS1", "message": f"mode={mode};"}
        operation = Operation(name="chat.post", reference="act-slack-notify", parameters=parameters)
        return Step(id=name, type=StepType.ACTION, operation=operation, **more)
    method = "PUT" if kind == "idempotent" else "POST"
    handling = "unkeyed" if kind == "unsafe" else "keyed"
    parameters = {"connection": kind, "method": method, "path": f"/{handling}/{mode}", "body": {"step": name}}
    operation = Operation(name="http.request", reference="act-http-request", parameters=parameters)
    return Step(id=name, type=StepType.ACTION, operation=operation, **more)


class _Maker:
    def __init__(self, random: Random, mix: Mix, child: str) -> None:
        self.random, self.mix, self.child = random, mix, child
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    def step(self) -> Step:
        kind = self.chosen(self.mix.kinds)
        name = self.name(kind)
        if kind == "manual":
            return Step(id=name, type=StepType.ACTION, question=Question(QuestionKind.INPUT, "Is it done?"))
        if kind == "delay":
            return Step(id=name, type=StepType.DELAY, wait=timedelta(seconds=self.random.randint(1, 5)))
        if kind == "child":
            return Step(id=name, type=StepType.PLAYBOOK_ACTION, playbook_id=self.child)
        return calling(kind, name, self.chosen(self.mix.modes))

    def chosen(self, weights: Mapping[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def parallel(self, branches: list[Step]) -> list[Step]:
        fork = Step(id=self.name("parallel"), type=StepType.PARALLEL, next_steps=tuple(step.id for step in branches))
        ends = [Step(id=f"end-{step.id}", type=StepType.END) for step in branches]
        return [fork, *(replace(step, on_completion=f"end-{step.id}") for step in branches), *ends]

    def loop(self) -> list[Step]:
        """Three visits: the ledger counts them and says in its answer whether there is one more."""
        body = calling("keyed", self.name("keyed"), self.chosen({"ok": 8, "slow:300": 2}))
        body = replace(body, out_args=(GO_ON,), outputs=(OutputMapping(GO_ON, path=("body", "more")),))
        asked = conditions.parse(f"{GO_ON}:value = 'yes'", lenient=False, declared=(GO_ON,)).ast
        loop = Step(id=self.name("loop"), type=StepType.WHILE, condition=dict(asked), on_true=body.id)
        return [loop, body]
