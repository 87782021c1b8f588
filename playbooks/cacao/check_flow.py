"""Checks of where steps lead: what is never reached, what runs twice, loops, switches, timeouts.

Source: CACAO.md 12.1, 12.2, 12.6, 12.13 and 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from playbooks.cacao.check_findings import listed, quoted, quoted_all
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_paths import Branch, branches_of, followers_of
from playbooks.cacao.check_uses import Where
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.flow import continuation, edges_of
from playbooks.cacao.people import DEFAULT_CASE
from playbooks.cacao.types import Step, StepType

#: what an operator's ceiling is unless it was changed (SALLYPORT_STEP_TIMEOUT_CEILING)
TIMEOUT_CEILING: Final = timedelta(days=7)


def check_flow(model: Model) -> None:
    _check_reached(model)
    _check_branches(model)
    _check_shared(model)
    _check_loops(model)
    for key, step in model.workflow.steps.items():
        if step.switch is not None and DEFAULT_CASE not in step.cases:
            message = (
                f"A value of {quoted(step.switch)} that is no case runs nothing, and without a value the step fails; "
                "give `cases` a `default`."
            )
            model.findings.add("switch-without-default", pointer("workflow", key, "cases"), message)
        _check_timeout(model, step)


def _check_reached(model: Model) -> None:
    steps = model.workflow.steps
    pending = [root.entry for root in model.paths.roots]
    reached = set(pending)
    while pending:
        for edge in edges_of(steps[pending.pop()]):
            if edge.target in steps and edge.target not in reached:
                reached.add(edge.target)
                pending.append(edge.target)
    for key in steps:
        if key not in reached:
            message = "No path from the start leads to this step; point to it from another step, or leave it out."
            model.findings.add("step-unreachable", pointer("workflow", key), message)


def _check_branches(model: Model) -> None:
    """Find branches that go on to what follows their opener, instead of ending."""
    for branch in model.paths.branches:
        following = _continuation_of(model, branch)
        if following is None or following not in branch.members:
            continue
        assert branch.opener is not None
        message = (
            f"The branch goes on to {model.called(following)}, which also follows {model.called(branch.opener.id)}: it "
            "runs twice. End the branch in an end step of its own."
        )
        for at in _places_that_lead_to(model, following, branch):
            model.findings.add("branch-runs-into-continuation", at, message)


def _continuation_of(model: Model, branch: Branch) -> str | None:
    if branch.opener is None:
        return None
    following, steps = continuation(branch.opener), model.workflow.steps
    if following is None or following not in steps or steps[following].type == StepType.END:
        return None
    return following


def _places_that_lead_to(model: Model, target: str, branch: Branch) -> Iterator[str]:
    assert branch.opener is not None
    if branch.entry == target:
        for key, _, where in branches_of(branch.opener):
            if key == branch.key:
                yield model.place(branch.opener.id, where)
    for key in branch.steps:
        name = followers_of(model.workflow.steps[key]).get(target)
        if name is not None:
            yield model.place(key, (name,))


def _check_shared(model: Model) -> None:
    """Find the steps at which two branches run together; those behind them are shared for the same reason."""
    steps = model.workflow.steps
    around: dict[str, set[tuple[str, str]]] = {}
    told: set[str] = set()  # continuations that a branch runs into
    for branch in model.paths.branches:
        scope = (branch.opener.id if branch.opener else "", branch.key)
        for key in branch.steps:
            around.setdefault(key, set()).add(scope)
        following = _continuation_of(model, branch)
        if following is not None and following in branch.members:
            told.add(following)
    shared = {key for key, scopes in around.items() if len(scopes) > 1 and steps[key].type != StepType.END}
    behind = {target for key in shared for target in followers_of(steps[key])}
    for key in steps:
        if key in shared and key not in behind and key not in told:
            scopes = sorted(around[key])
            openers = dict.fromkeys(model.called(opener) if opener else "the start" for opener, _ in scopes)
            message = (
                f"The step is reached in {len(scopes)} branches, of {listed(list(openers))}: "
                "it runs once in each. Put it behind the step that opens them, or give each branch a step of its own."
            )
            model.findings.add("step-shared", pointer("workflow", key), message)


def _check_loops(model: Model) -> None:
    for branch in model.paths.branches:
        loop = branch.opener
        if loop is None or loop.type != StepType.WHILE or loop.condition is None:
            continue
        read = {
            slot
            for use in model.uses.of_steps[loop.id]
            if use.where is Where.CONDITION
            if (slot := model.slot(use.name, loop, branch.parent)) is not None
        }
        if not model.bits(read) & model.written_in[branch]:
            names = quoted_all(sorted(name for _, name in read)) if read else "a variable"
            message = (
                f"Nothing in the loop writes {names}, so its condition stays as it is; let a step of the body return "
                "the variable, in `out_args` or by a mapping."
            )
            model.findings.add("loop-without-progress", pointer("workflow", loop.id), message)


def _check_timeout(model: Model, step: Step) -> None:
    at = below(pointer("workflow", step.id), "timeout")
    if step.timeout is None:
        return
    if step.type in (StepType.START, StepType.END):
        message = "A timeout on a start or end step means nothing; put it on the step that takes time, or leave it out."
        model.findings.add("timeout-without-effect", at, message)
    elif step.timeout > TIMEOUT_CEILING:
        message = f"No step runs longer than the ceiling, {TIMEOUT_CEILING.days} days unless the operator set another."
        model.findings.add("timeout-over-ceiling", at, message)
