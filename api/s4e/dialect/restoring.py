"""Brings an exported S4E playbook back from its CACAO document (RULINGS 17: our own step extension wins)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from api.s4e.dialect import extension
from api.s4e.dialect.compiling import compile_playbook
from api.s4e.dialect.document import Playbook
from api.s4e.dialect.exporting import Identity, export
from api.s4e.dialect.faults import PlaybookInvalid
from api.s4e.dialect.reading import read_playbook
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from playbooks.cards import card_of

#: what makes up the flow of a CACAO step; the rest of an exported step follows from the extension
_FLOW: Final = ("type", "on_completion", "on_success", "on_failure", "on_true", "on_false", "next_steps", "delay")


@dataclass(frozen=True)
class Restored:
    """An S4E playbook as it was: ``body`` as its author would post it, read and compiled."""

    body: dict[str, Any]
    playbook: Playbook
    workflow: Workflow


def restore(
    document: Mapping[str, Any], *, references: Mapping[str, str], identity: Identity
) -> tuple[Restored | None, str]:
    """Return the S4E playbook that a document was exported from, or None and why it stays CACAO.

    Name, description, labels and version are taken from the CACAO properties, which people edit; the steps from the
    extension, as long as the flow is still the one that was exported.
    """
    own = extension.of_playbook(document)
    if own is None:
        return None, ""
    body = _body(document, own)
    if body is None:
        return None, "some of its steps do not come from an S4E playbook, so it is kept as CACAO"
    try:
        playbook = read_playbook(body, references=references)
    except PlaybookInvalid as error:
        return None, f"its S4E extension cannot be read ({error.message}), so it is kept as CACAO"
    workflow = compile_playbook(playbook, references=references)
    made_from = own.get("ids_of")
    as_was = replace(identity, cacao_id=made_from if isinstance(made_from, str) else identity.cacao_id)
    if _flow(export(body, workflow, as_was)) != _flow(document):
        return None, "its flow was changed after the export, so it is kept as CACAO"
    return Restored(body, playbook, workflow), ""


def with_operations(workflow: Workflow, document: Mapping[str, Any], references: Mapping[str, str]) -> Workflow:
    """Return a CACAO workflow whose steps call by name where our step extension says what they call."""
    written = document.get("workflow")
    if not isinstance(written, Mapping):
        return workflow
    steps = {step.id: _with_operation(step, written.get(step.id), references) for step in workflow.steps.values()}
    return replace(workflow, steps=steps)


def _with_operation(step: Step, written: Any, references: Mapping[str, str]) -> Step:
    own = extension.of_step(written) if isinstance(written, Mapping) else None
    said = own.get("step") if own else None
    if step.type != StepType.ACTION or step.question is not None or not isinstance(said, Mapping):
        return step
    reference, parameters = said.get("action_ref"), said.get("parameters", {})
    if not isinstance(reference, str) or reference not in references or not isinstance(parameters, Mapping):
        return step
    operation = Operation(name=references[reference], reference=reference, parameters=dict(parameters))
    return replace(step, commands=(), agent=None, targets=(), operation=operation)


def _body(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any] | None:
    steps = dict(_steps(document))
    order = own.get("steps")
    if not isinstance(order, list) or not all(isinstance(step, str) for step in order) or set(order) != set(steps):
        return None
    card = card_of(document)
    body = {
        "name": document.get("name", card.cacao_id),
        "version": card.version_label,
        "description": card.description,
        "trigger": own.get("trigger"),
        "steps": [steps[step_id] for step_id in order],
        "tags": list(card.tags),
    }
    kept = {name: own[name] for name in ("on_failure", "max_retries", "timeout_minutes", "inputs") if name in own}
    return body | kept


def _steps(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the S4E steps in the extensions, by id; a CACAO step without one is yielded under its own id."""
    workflow = document.get("workflow")
    for step_id, step in workflow.items() if isinstance(workflow, Mapping) else ():
        own = extension.of_step(step) if isinstance(step, Mapping) else None
        said = list(_said(own)) if own else []
        yield from said
        if not said and isinstance(step, Mapping) and step.get("type") not in ("start", "end"):
            yield f"{step_id} is none of ours", step


def _said(own: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    delays = own.get("delays")
    for one in [*(delays if isinstance(delays, list) else ()), own.get("step")]:
        if isinstance(one, Mapping) and isinstance(one.get("id"), str):
            yield one["id"], one


def _flow(document: Mapping[str, Any]) -> dict[str, Any]:
    workflow = document.get("workflow")
    steps = workflow if isinstance(workflow, Mapping) else {}
    flow = {
        step_id: {name: step[name] for name in _FLOW if name in step}
        for step_id, step in steps.items()
        if isinstance(step, Mapping)
    }
    return {"start": document.get("workflow_start"), "steps": flow}
