"""Compiles the workflow of a document as a whole: start, flow, joins, variables.

Source: CACAO.md 12 and the codes of 13 that concern several steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from playbooks.cacao import flow as flows
from playbooks.cacao import joins, scoping
from playbooks.cacao.declarations import read_variables
from playbooks.cacao.findings import Report, below, pointer
from playbooks.cacao.flow import Edge, Flow, continuation
from playbooks.cacao.reading import Json
from playbooks.cacao.steps import Context, read_steps
from playbooks.cacao.types import Catalogue, Step, StepType, Workflow

_ACTIONS = frozenset({StepType.ACTION, StepType.PLAYBOOK_ACTION})


def compile_workflow(document: Json, playbook_id: str | None, context: Context) -> Workflow | None:
    """Compile the workflow without its definitions; None where it is refused for what is in it."""
    report = context.reading.report
    variables = read_variables(document, "playbook_variables", "", context.reading)
    compiled = read_steps(context)
    steps = {key: one.step for key, one in compiled.items()}
    start = _read_start(document, steps, context)
    exception = _read_exception(document, context)
    _check_kinds(steps, context)
    _check_recursion(steps, playbook_id, context.catalogue, report)
    flow = flows.trace(steps, start, exception)
    _report_cycles(flow.cycles, document, report)
    if start is None or report.is_unreadable():
        return None
    found = joins.find_joins(steps, flow)
    _report_flow(document, steps, flow, found, report)
    scoped = scoping.resolve(compiled, variables, flow, report)
    return Workflow(
        start=start,
        steps={key: _with_join(step, found.get(key)) for key, step in scoped.steps.items()},
        exception=exception,
        variables=scoped.variables,
    )


def _with_join(step: Step, join: str | None) -> Step:
    return step if join is None else replace(step, join=join, on_completion=join)


def _read_start(document: Json, steps: Mapping[str, Step], context: Context) -> str | None:
    report = context.reading.report
    start = document.get("workflow_start")
    at = pointer("workflow_start") if "workflow_start" in document else ""
    if not isinstance(start, str) or start not in context.workflow:
        message = "`workflow_start` names no step of the workflow; the id of its start step is needed."
        report.refuse("start-unresolved", at, message)
        return None
    if start in steps and steps[start].type != StepType.START:
        message = f"`workflow_start` names a step of type {steps[start].type}; a start step is needed."
        report.relax("start-type", at, message, "the playbook starts at that step")
    return start


def _read_exception(document: Json, context: Context) -> str | None:
    exception = context.reading.text(document, "workflow_exception", "")
    if exception is None or exception in context.workflow:
        return exception
    message = f"`{exception[:100]}` names no step of the workflow."
    context.reading.report.relax("exception-unresolved", "/workflow_exception", message, "as absent")
    return None


def _check_kinds(steps: Mapping[str, Step], context: Context) -> None:
    report = context.reading.report
    kinds = {step.type for step in steps.values()}
    if StepType.END not in kinds:
        report.relax("end-missing", "/workflow", "The workflow has no end step.", "a missing pointer counts as an end")
    if not kinds & _ACTIONS:
        message = "The workflow has neither an action nor a playbook-action."
        report.relax("action-missing", "/workflow", message, "it runs all the same")


def _check_recursion(steps: Mapping[str, Step], playbook_id: str | None, catalogue: Catalogue, report: Report) -> None:
    """Refuse a playbook that starts itself, by itself or through stored ones."""
    safe: set[str] = set()
    for key, step in steps.items():
        if step.playbook_id is None or playbook_id is None:
            continue
        if step.playbook_id in safe or not _leads_to(playbook_id, step.playbook_id, catalogue, safe):
            continue
        message = f"Running `{step.playbook_id[:100]}` would run this playbook again inside itself."
        report.refuse("playbook-recursion", pointer("workflow", key, "playbook_id"), message)


def _leads_to(wanted: str, first: str, catalogue: Catalogue, safe: set[str]) -> bool:
    pending, seen = [first], {first}
    while pending:
        playbook = pending.pop()
        if playbook == wanted:
            return True
        for child in catalogue.children.get(playbook, ()):
            if child not in seen and child not in safe:
                seen.add(child)
                pending.append(child)
    safe |= seen
    return False


# -- flow


def _report_cycles(cycles: Iterable[Edge], document: Json, report: Report) -> None:
    for edge in cycles:
        message = f"This leads back to `{edge.target}`, which the path has visited; only a while step repeats its body."
        report.refuse("cycle-without-while", _place(edge, document), message)


def _report_flow(
    document: Json, steps: Mapping[str, Step], flow: Flow, found: Mapping[str, str], report: Report
) -> None:
    for edge in sorted(flow.loop_backs, key=lambda edge: (edge.source, edge.where)):
        message = "The body of a loop leads back to the loop; an end step ends a visit."
        report.relax("loop-back", _place(edge, document), message, "the visit ends")
    for key, step in steps.items():
        if key in found:
            message = "The parallel step has no continuation, and its branches run into one another."
            relaxed = f"`{found[key]}` is its continuation; each branch ends before it"
            report.relax("join-missing", pointer("workflow", key), message, relaxed)
        elif _lacks_next(step, document):
            message = "The step leads nowhere; give it `on_completion`, or `on_success`."
            report.relax("next-missing", pointer("workflow", key), message, "an end step follows")
        if step.type == StepType.END and key in flow.shared:
            message = "This end step is reached in two branches; each branch ends in an end step of its own."
            report.relax("shared-end", pointer("workflow", key), message, "it ends whichever branch reaches it")


def _lacks_next(step: Step, document: Json) -> bool:
    if step.type in (StepType.START, StepType.END) or continuation(step) is not None:
        return False
    # An if whose outcomes are its branches has an on_success in the document, and is reported as that.
    return document["workflow"][step.id].get("on_success") is None


def _place(edge: Edge, document: Json) -> str:
    """Return the pointer to where the document has this edge."""
    given = document["workflow"][edge.source]
    at = pointer("workflow", edge.source)
    return below(at, *edge.where) if edge.where[0] in given else at
