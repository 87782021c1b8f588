"""Reads the body of POST /api/playbooks: every rule of contracts/s4e.md, every fault in one answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from api.s4e.dialect import graph, texts
from api.s4e.dialect.document import DEFAULT_RETRIES, END, OnFailure, Playbook, Step, StepType
from api.s4e.dialect.faults import Faults, Fields
from api.s4e.dialect.triggers import read_trigger
from playbooks.inputs import fits
from playbooks.slugs import slug_of

LONGEST_NAME: Final = 200
LONGEST_VERSION: Final = 100
MOST_MINUTES: Final = 10_080
MOST_STEPS: Final = 5_000
MOST_SECONDS: Final = 366 * 86_400
MOST_RETRIES: Final = 10

NAMED: Final = frozenset(
    "name version description trigger steps on_failure max_retries timeout_minutes tags inputs".split()
)
#: ours to say: a caller may send a playbook back as it was read
IGNORED: Final = frozenset("id step_count created_at updated_at".split())
INPUT_TYPES: Final = ("String", "Number", "Boolean", "Finding", "Asset", "List")

_SEMANTIC_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_STEP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_playbook(body: Mapping[str, Any], *, references: Mapping[str, str]) -> Playbook:
    """Return the playbook that ``body`` describes.

    ``references``: the known ``action_ref``s and the operation each stands for. Raises PlaybookInvalid with every
    fault, the first of them in its message.
    """
    faults = Faults()
    fields = Fields(dict(body), "", faults)
    _check_names(fields)
    name = fields.text("name", required=True, longest=LONGEST_NAME)
    if name is not None and not slug_of(name):
        fields.fault("name", "Needs a letter from a to z or a digit: the playbook's id is made of it.")
    version = fields.text("version", required=True, longest=LONGEST_VERSION)
    if version is not None and not _SEMANTIC_VERSION.fullmatch(version):
        fields.fault("version", "Must be a semantic version, such as 1.0.0.")
    description = fields.text("description", blank=True)
    trigger = fields.object("trigger", required=True)
    read_trigger_ = {} if trigger is None else read_trigger(Fields(trigger, "trigger", faults))
    on_failure = fields.word("on_failure", OnFailure) or OnFailure.ABORT
    steps = _read_steps(fields, on_failure, references)
    max_retries = fields.whole("max_retries", least=1, most=MOST_RETRIES)
    if max_retries is not None and OnFailure.RETRY not in {on_failure, *(step.on_failure for step in steps)}:
        fields.fault("max_retries", 'Goes only with on_failure "retry".')
    timeout = fields.whole("timeout_minutes", least=1, most=MOST_MINUTES)
    tags = fields.texts("tags")
    inputs = _read_inputs(fields)
    faults.raise_any()
    return Playbook(
        name=name or "",
        version=version or "",
        description=description or "",
        trigger=read_trigger_,
        steps=steps,
        on_failure=on_failure,
        max_retries=max_retries or DEFAULT_RETRIES,
        timeout_minutes=timeout,
        tags=tags,
        inputs=inputs,
    )


def _check_names(fields: Fields) -> None:
    for name in fields.value:
        if name not in NAMED | IGNORED:
            fields.fault(name[:100], "Unknown field.")


def _read_steps(fields: Fields, default: OnFailure, references: Mapping[str, str]) -> tuple[Step, ...]:
    values = fields.array("steps", required=True)
    if values is None:
        return ()
    if not 1 <= len(values) <= MOST_STEPS:
        fields.fault("steps", f"Must hold from 1 to {MOST_STEPS} steps.")
        return ()
    before = len(fields.faults.found)
    steps = []
    for index, value in enumerate(values):
        if isinstance(value, dict):
            step = _read_step(Fields(value, f"steps[{index}]", fields.faults), default, references)
            steps.append(step)
        else:
            fields.fault(f"steps[{index}]", "Must be an object.")
    if len(fields.faults.found) == before:
        graph.check(tuple(steps), fields.faults)
    return tuple(steps)


def _read_step(fields: Fields, default: OnFailure, references: Mapping[str, str]) -> Step:
    step_id = fields.text("id", required=True)
    if step_id is not None and not (_STEP_ID.fullmatch(step_id) and step_id != END):
        fields.fault("id", "Must be 1 to 64 letters, digits, '_' or '-', and not the word end.")
    type_ = fields.word("type", StepType)
    if not fields.has("type"):
        fields.fault("type", "Is required.")
    own: dict[str, Any] = {
        "id": step_id or "",
        "name": fields.text("name", longest=1_000) or step_id or "",
        "on_failure": fields.word("on_failure", OnFailure) or default,
        "timeout_minutes": fields.whole("timeout_minutes", least=1, most=MOST_MINUTES),
    }
    match type_:
        case StepType.ACTION:
            own |= _read_action(fields, references)
        case StepType.CONDITION:
            own |= _read_condition(fields)
        case StepType.PARALLEL:
            own |= {"branches": _read_branches(fields), "on_success": _target(fields, "on_success")}
        case StepType.DELAY:
            own |= {"seconds": _read_duration(fields), "on_success": _target(fields, "on_success")}
        case StepType.APPROVAL:
            own |= _read_approval(fields)
    return Step(type=type_ or StepType.ACTION, **own)


def _read_action(fields: Fields, references: Mapping[str, str]) -> dict[str, Any]:
    reference = fields.text("action_ref", required=True)
    if reference is not None and reference not in references:
        fields.fault("action_ref", f"Unknown action. Known: {', '.join(sorted(references))}.")
    parameters = fields.object("parameters") or {}
    texts.check_templates(parameters, fields.at("parameters"), fields.faults)
    return {
        "action_ref": reference or "",
        "parameters": parameters,
        "on_success": _target(fields, "on_success"),
    }


def _read_condition(fields: Fields) -> dict[str, Any]:
    expression = fields.text("expression", required=True)
    if expression is not None:
        texts.check_expression(expression, fields.at("expression"), fields.faults)
    if not (fields.has("on_true") or fields.has("on_false")):
        fields.fault("on_true", "A condition names on_true, on_false or both.")
    return {
        "expression": expression or "",
        "on_true": _target(fields, "on_true"),
        "on_false": _target(fields, "on_false"),
    }


def _read_branches(fields: Fields) -> tuple[tuple[str, ...], ...]:
    values = fields.array("branches", required=True)
    if values is None:
        return ()
    if len(values) < 2:
        fields.fault("branches", "Must hold two branches or more.")
    branches = []
    for index, branch in enumerate(values):
        if not isinstance(branch, list) or not branch or not all(isinstance(member, str) for member in branch):
            fields.fault(f"branches[{index}]", "Must be a list of step ids, not empty.")
        else:
            branches.append(tuple(branch))
    return tuple(branches)


def _read_duration(fields: Fields) -> int:
    given = [name for name in ("duration_seconds", "duration_minutes") if fields.has(name)]
    if len(given) != 1:
        fields.fault("duration_seconds", "A delay gives exactly one of duration_seconds and duration_minutes.")
        return 0
    factor = 60 if given[0] == "duration_minutes" else 1
    return (fields.whole(given[0], least=0, most=MOST_SECONDS // factor) or 0) * factor


def _read_approval(fields: Fields) -> dict[str, Any]:
    approvers = fields.texts("approvers")
    for index, approver in enumerate(approvers):
        if not approver.strip():
            fields.fault(f"approvers[{index}]", "Must be an e-mail address or a role.")
    message = fields.text("message", blank=True) or ""
    texts.check_templates(message, fields.at("message"), fields.faults)
    return {
        "approvers": approvers,
        "message": message,
        "on_approved": _target(fields, "on_approved"),
        "on_rejected": _target(fields, "on_rejected"),
    }


def _target(fields: Fields, name: str) -> str | None:
    return fields.text(name)


def _read_inputs(fields: Fields) -> dict[str, Mapping[str, Any]]:
    values = fields.object("inputs") or {}
    inputs = {}
    for name, value in values.items():
        at = Fields(value, f"inputs.{name}", fields.faults) if isinstance(value, dict) else None
        if at is None or not name:
            fields.fault(f"inputs.{name}", "Must be an object with the type of the input, under a name.")
            continue
        _check_input(at)
        inputs[name] = value
    return inputs


def _check_input(fields: Fields) -> None:
    type_ = fields.text("type")
    known = {word for name in INPUT_TYPES for word in (name, name.lower())}
    if type_ is not None and type_ not in known:
        fields.fault("type", f"Must be one of {', '.join(INPUT_TYPES)}.")
    if fields.has("required") and not isinstance(fields.value["required"], bool):
        fields.fault("required", "Must be true or false.")
    fields.text("description", blank=True)
    if "default" in fields.value and type_ in known and not fits(type_, fields.value["default"]):
        fields.fault("default", f"Must be a {type_}.")
