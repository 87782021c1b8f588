"""Checks of commands: where they go, who carries them out, what happens when they fail, what they destroy.

Source: CACAO.md 7 (D16, D33, D34), 12.2, 12.3, 12.9 (D20) and 15.
"""

from __future__ import annotations

from typing import Final

from playbooks.cacao.check_effects import changes_something, is_destructive, is_destructive_operation
from playbooks.cacao.check_findings import quoted
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_states import States
from playbooks.cacao.check_uses import PUBLIC_OF_LOGON
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.types import AgentTarget, Command, Step
from playbooks.cacao.vocabularies import HTTP_COMMANDS, MACHINE_TYPES

#: command types that go to an address
_ADDRESSED: Final = HTTP_COMMANDS | {"ssh", "powershell"}
_WITH_LOGON: Final = frozenset({"ssh", "powershell"})


def check_commands(model: Model, states: States) -> None:
    for step in model.workflow.steps.values():
        _check_people(model, step)
        if not model.is_for_fin(step):
            for index, command in model.machine_commands(step):
                at = pointer("workflow", step.id, "commands", index)
                if command.type in _ADDRESSED:
                    _check_target(model, step, command, at)
                    _check_logon(model, step, command, at)
        _check_destruction(model, step, states)
    _check_logons_without_secret(model)
    _check_failures(model)


def _check_people(model: Model, step: Step) -> None:
    if not model.is_for_people(step):
        return
    for index, command in enumerate(step.commands):
        if command.type != "manual" and command.raw.get("type") != "manual":
            message = (
                f"The agent is people, so this {command.type} command becomes a request that shows it; give the step a "
                "machine as agent, or make the command `manual`."
            )
            model.findings.add("human-agent-command", pointer("workflow", step.id, "commands", index), message)


# -- addresses and log-ons


def _check_target(model: Model, step: Step, command: Command, at: str) -> None:
    if "://" in (command.text or "").partition("?")[0] and command.type in HTTP_COMMANDS:
        return  # the start line itself says where to
    places = model.targets_of(step) or [one for one in [model.agent_of(step)] if one is not None]
    if not places:
        message = "The command needs an address, and the step has neither target nor agent; give it `targets`."
        model.findings.add("target-missing", at, message)
    agent = model.agent_of(step)
    for place in places:
        if _has_address(place) or _is_bound(model, place) or (agent is not None and _is_bound(model, agent)):
            continue
        if place.type in MACHINE_TYPES:
            continue  # address-missing says so where it is defined
        what = "target" if step.targets else "agent"
        message = (
            f"The command needs an address, and the {what} {quoted(place.name)} has none; give it `address`, or bind "
            "it by making a connection of that name."
        )
        model.findings.add("target-missing", at, message)


def _has_address(place: AgentTarget) -> bool:
    address = place.properties.get("address")
    return isinstance(address, dict) and any(address.get(kind) for kind in ("url", "dname", "ipv4", "ipv6"))


def _is_bound(model: Model, place: AgentTarget) -> bool:
    """Return whether a connection has the place's name; where nobody knows, what has no address counts as bound."""
    known = model.catalogue.connections
    return not _has_address(place) if known is None else place.name in known


def _check_logon(model: Model, step: Step, command: Command, at: str) -> None:
    if command.type not in _WITH_LOGON:
        return
    places = [*model.targets_of(step), *(one for one in [model.agent_of(step)] if one is not None)]
    if not places or any(place.authentication is not None or _is_bound(model, place) for place in places):
        return
    message = (
        f"Commands of type {command.type} log on, and neither target nor agent says how; give one of them "
        "`authentication_info`, or make a connection of that name."
    )
    model.findings.add("auth-missing", at, message)


def _check_logons_without_secret(model: Model) -> None:
    """Find targets that name a log-on which holds nothing to log on with."""
    given = model.document.get("authentication_info_definitions")
    definitions = given if isinstance(given, dict) else {}
    for dictionary, places in model.definitions():
        for key, place in places.items():
            logon = definitions.get(place.authentication or "")
            if not isinstance(logon, dict) or _is_bound(model, place) or _holds_secret(logon):
                continue
            message = (
                f"The log-on {quoted(place.authentication or '')} holds nothing to log on with; give it its secret by "
                "`kms` and `kms_key_identifier`, or make a connection of the name "
                f"{quoted(place.name)}."
            )
            model.findings.add("auth-missing", pointer(dictionary, key, "authentication_info"), message)


def _holds_secret(logon: dict[str, object]) -> bool:
    if logon.get("kms") is True:
        return bool(logon.get("kms_key_identifier"))
    shown = PUBLIC_OF_LOGON | {"type", "name", "description", "authentication_info_extensions"}
    return any(value for name, value in logon.items() if name not in shown)


# -- failures


def _check_failures(model: Model) -> None:
    """Find changes whose failure nobody takes up, or is passed over."""
    is_caught = model.workflow.exception is not None
    around = _caught_around(model)
    for step in model.workflow.steps.values():
        commands = [command for _, command in model.machine_commands(step)]
        is_change = any(changes_something(command, model.catalogue) for command in commands)
        is_destroying = any(is_destructive(command, model.catalogue) for command in commands)
        at = pointer("workflow", step.id)
        if step.on_failure is not None or not commands:
            continue
        if is_destroying and step.on_completion is not None and step.on_success is None:
            message = (
                "The step destroys something, and `on_completion` goes on even when it fails; give it `on_success` and "
                "`on_failure` instead."
            )
            model.findings.add("failure-ignored", below(at, "on_completion"), message)
        elif is_change and not is_caught and not around.get(step.id, False):
            when = "nothing says what to do when it fails"
            if step.on_completion is not None:
                when = "when it fails `on_completion` goes on as if it had not"
            message = (
                f"The step changes something, and {when}: there is no `on_failure` on it or round it, and no "
                "`workflow_exception`."
            )
            model.findings.add("failure-unhandled", at, message)


def _caught_around(model: Model) -> dict[str, bool]:
    """Return for each step whether an opener round it has an ``on_failure``, in every branch that it is visited in."""
    caught: dict[int, bool] = {}
    found: dict[str, bool] = {}
    for branch in model.paths.branches:
        parent = branch.parent
        is_caught = branch.opener is not None and (
            branch.opener.on_failure is not None or (parent is not None and caught[id(parent)])
        )
        caught[id(branch)] = is_caught
        for key in branch.steps:
            found[key] = found.get(key, True) and is_caught
    return found


def _check_destruction(model: Model, step: Step, states: States) -> None:
    if step.id not in states.unasked:
        return
    message = (
        "This takes something away, and on some path no person is asked before; put a `manual` step in front, on "
        "every path that leads here, or let an approval policy cover it."
    )
    for index, command in enumerate(step.commands):
        if command.for_people:
            return  # who carries this out stands before the rest
        if is_destructive(command, model.catalogue) and not _is_approved(command, model):
            model.findings.add("destructive-without-approval", pointer("workflow", step.id, "commands", index), message)
    approved = step.operation is not None and step.operation.name in model.catalogue.approved
    if is_destructive_operation(step, model.catalogue) and not approved:
        model.findings.add("destructive-without-approval", pointer("workflow", step.id), message)


def _is_approved(command: Command, model: Model) -> bool:
    """Whether people are asked in any case, by an approval policy of the tenant."""
    return model.catalogue.command_types.get(command.type, "") in model.catalogue.approved
