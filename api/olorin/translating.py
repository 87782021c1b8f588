"""Olorin's playbooks and actions as what the engine runs, and as what the other families read.

A playbook is a list of actions. It is stored in the shape of an S4E playbook, so every family shows, exports and starts
it; its compiled steps carry what S4E has no word for: a missing connection skips a step, and a failed action is tried
three times more. ``context.<key>`` is read as ``anomaly.<key>``, under which an event's data stand too, so the same
steps run for a call and for an event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from api.fields import Choice, Input, JSONObject, Text
from api.olorin import catalogue, ids
from api.olorin.catalogue import ActionInvalid
from connectors.dispatch import argument_fault
from core import strict_json
from core.actors import Actor
from core.errors import FieldError, Invalid
from executions.engine.templates import TemplateInvalid, paths_of
from playbooks.cacao.stored import to_json
from playbooks.cacao.types import Operation, RetryPolicy, Step, StepType, Workflow
from playbooks.models import Playbook
from playbooks.selectors import latest_version, list_triggers
from playbooks.services import change_trigger, new_cacao_id, store_dialect

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import PlaybookVersion

#: the dialect whose shape the stored document has
DIALECT: Final = "s4e"
#: the first try and three more, after waits of up to 2, 4 and 8 seconds; a clear "no" is final
RETRY: Final = RetryPolicy(attempts=4, base=timedelta(seconds=2), cap=timedelta(seconds=30), ends_on_no=True)
MOST_ACTIONS: Final = 500
START: Final = "start:"
END: Final = "end:run"
EVENT: Final = "anomaly.detected"
#: started by a critical anomaly; 4.5 itself is not enough
CRITICAL: Final = {"event": EVENT, "conditions": {"severity": "critical", "score": {"$gt": 4.5}}}
_CONTEXT: Final = re.compile(r"\{\{\s*context\.")
_STEP_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ActionInput(Input):
    id = Text(required=False, max_length=64)
    toolkit = Text(max_length=64)
    action = Text(max_length=64)
    parameters = JSONObject(required=False, default=dict)
    on_failure = Choice(choices=["continue", "abort"], required=False)


class PlaybookInput(Input):
    """``starts_on``: ``critical_anomaly`` starts the playbook once for each critical anomaly."""

    playbook_id = Text(max_length=120)
    name = Text(max_length=200)
    version = Text(required=False, default="1.0.0", max_length=100)
    description = Text(required=False, default="", allow_blank=True, max_length=10_000)
    starts_on = Choice(choices=["critical_anomaly"], required=False, allow_null=True, default=None)
    on_failure = Choice(choices=["continue", "abort"], required=False, default="abort")
    actions = ActionInput(many=True, allow_empty=False)


def store(*, tenant: Tenant, octets: bytes, actor: Actor, now: datetime) -> PlaybookVersion:
    """Store a playbook. Raises JsonInvalid, ValidationError and Invalid naming what is wrong, NameTaken."""
    body = PlaybookInput(data=strict_json.loads(octets))
    body.is_valid(raise_exception=True)
    given = body.validated_data
    if len(given["actions"]) > MOST_ACTIONS:
        raise ActionInvalid.at("actions", f"At most {MOST_ACTIONS}.")
    slug = _slug(given["playbook_id"])
    steps = [_read(action, index, given["on_failure"]) for index, action in enumerate(given["actions"])]
    _check_ids(steps)
    trigger = CRITICAL if given["starts_on"] else {}
    version = _put(tenant, given, steps, _chain(steps), slug=slug, actor=actor, now=now, trigger=trigger)
    for made in list_triggers(tenant, EVENT).filter(playbook=version.playbook):
        change_trigger(trigger=made, dedup_fields=["anomaly_id"])
    return version


def single(
    *, tenant: Tenant, toolkit: str, action: str, names: Sequence[str], actor: Actor, now: datetime
) -> PlaybookVersion:
    """Return the unlisted playbook of one action, whose parameters of these names each start gives; made once."""
    step = _step("action", toolkit, action, dict.fromkeys(names), goes_on=False, skips=False)
    workflow = _chain([step])
    digest = strict_json.digest(to_json(workflow))[:12]
    slug = f"soar-{toolkit}-{action}-{digest}".replace("_", "-")
    known = Playbook.objects.filter(tenant=tenant, slug=slug, is_listed=False, archived_at=None).first()
    if known is not None:
        return latest_version(known)
    given = {"name": step.name, "version": "1.0.0", "description": "A signed action.", "on_failure": "abort"}
    return _put(tenant, given, [step], workflow, slug=slug, actor=actor, now=now, listed=False)


def _put(
    tenant: Tenant, given: Mapping[str, Any], steps: Sequence[Step], workflow: Workflow, **more: Any
) -> PlaybookVersion:
    """Store a playbook; ``more``: slug, actor, now, trigger, listed."""
    trigger = more.pop("trigger", {})
    return store_dialect(
        tenant=tenant,
        octets=strict_json.dumps(_document(given, steps, trigger)),
        dialect=DIALECT,
        workflow=workflow,
        name=given["name"],
        description=given["description"],
        label=given["version"],
        trigger=trigger,
        tags=["soar"],
        step_count=len(steps),
        cacao_id=new_cacao_id(),
        **more,
    )


def check_parameters(toolkit: str, action: str, parameters: Mapping[str, Any]) -> None:
    """Raise ActionInvalid for parameters that the action does not take as they are."""
    fault = argument_fault(f"{toolkit}.{action}", parameters)
    if fault is not None:
        raise ActionInvalid.at("parameters" if not fault[0] else f"parameters.{fault[0]}", fault[1])
    if "connection" in parameters:
        raise ActionInvalid.at("parameters.connection", "The connection is chosen by toolkit and tenant.")


def _slug(key: str) -> str:
    slug = key.replace("_", "-").lower()
    if not ids.PLAYBOOK.fullmatch(key) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise Invalid("playbook_id: Small letters, digits and '_'.", fields=[FieldError("playbook_id", "No key.")])
    return slug


def _read(given: Mapping[str, Any], index: int, default: str) -> Step:
    at = f"actions[{index}]."
    action = catalogue.bare_action(given["toolkit"], given["action"], at=at)
    parameters = _on_event(dict(given["parameters"]))
    known = catalogue.spec_of(given["toolkit"], action).inputs["properties"]
    for name in parameters:
        if name not in known:
            raise ActionInvalid.at(f"{at}parameters.{name[:100]}", "The action has no such parameter.")
    try:
        paths_of(parameters)
    except TemplateInvalid as error:
        raise ActionInvalid.at(f"{at}parameters", error.message) from error
    step_id = given.get("id") or f"{index + 1}-{given['toolkit']}-{action}"
    if not _STEP_ID.fullmatch(step_id):
        raise ActionInvalid.at(f"{at}id", "Must be 1 to 64 letters, digits, '_' or '-'.")
    goes_on = given.get("on_failure", default) == "continue"
    return _step(step_id, given["toolkit"], action, parameters, goes_on=goes_on, skips=True)


def _on_event(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTEXT.sub("{{ anomaly.", value)
    if isinstance(value, Mapping):
        return {name: _on_event(item) for name, item in value.items()}
    return [_on_event(item) for item in value] if isinstance(value, list) else value


def _check_ids(steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for index, step in enumerate(steps):
        if step.id in seen:
            raise ActionInvalid.at(f"actions[{index}].id", "Another action has this id.")
        seen.add(step.id)


def _step(
    step_id: str, toolkit: str, action: str, parameters: Mapping[str, Any], *, goes_on: bool, skips: bool
) -> Step:
    spec = catalogue.spec_of(toolkit, action)
    return Step(
        id=step_id,
        type=StepType.ACTION,
        name=f"{toolkit} {action}",
        operation=Operation(name=spec.name, reference=catalogue.reference_of(spec), parameters=parameters),
        retry=RETRY,
        on_unknown="fail",  # it is given up and a review is opened: nobody waits at the other end for a person
        on_missing_connection="skip" if skips else "fail",
        on_completion=END if goes_on else None,
        on_success=None if goes_on else END,
    )


def _chain(steps: Sequence[Step]) -> Workflow:
    """Start, the actions one after the other, end; each leads on by the pointer that its failure rule made."""
    following = [*(step.id for step in steps[1:]), END]
    linked = [
        replace(step, on_completion=after) if step.on_completion else replace(step, on_success=after)
        for step, after in zip(steps, following, strict=True)
    ]
    first = Step(id=START, type=StepType.START, on_completion=steps[0].id)
    every = [first, *linked, Step(id=END, type=StepType.END)]
    return Workflow(start=START, steps={step.id: step for step in every}, dialect=DIALECT)


def _document(given: Mapping[str, Any], steps: Sequence[Step], trigger: Mapping[str, Any]) -> dict[str, Any]:
    """The playbook in the words of S4E: what its other readers show."""
    return {
        "name": given["name"],
        "version": given["version"],
        "description": given["description"],
        "trigger": dict(trigger) or {"event": "manual", "conditions": {}},
        "steps": [_shown(step) for step in steps],
        "on_failure": given["on_failure"],
        "tags": ["soar"],
    }


def _shown(step: Step) -> dict[str, Any]:
    assert step.operation is not None
    return {
        "id": step.id,
        "name": step.name,
        "type": "action",
        "action_ref": step.operation.reference,
        "parameters": dict(step.operation.parameters),
        "on_failure": "continue" if step.on_completion else "abort",
    }
