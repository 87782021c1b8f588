"""Compiles the steps of a workflow, each by itself.

Source: CACAO.md 5, 12.8 to 12.10 and the codes of 13 that concern one step. What concerns several steps is in
`playbooks.cacao.flow` and `playbooks.cacao.scoping`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from playbooks.cacao import conditions, people, shapes
from playbooks.cacao.commands import Surroundings, read_command, surroundings
from playbooks.cacao.declarations import read_variables
from playbooks.cacao.definitions import Definitions
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.identifiers import is_identifier, type_of, uuid_version
from playbooks.cacao.inspection import inspect, inspect_references
from playbooks.cacao.names import Names, note_names
from playbooks.cacao.outputs import read_outputs
from playbooks.cacao.pointers import read_pointers
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.types import Catalogue, Step, StepType
from playbooks.cacao.vocabularies import COMMAND_TYPES

_TYPES = {kind.value: kind for kind in StepType if kind is not StepType.DELAY}


@dataclass(frozen=True)
class Compiled:
    """One step and which names it uses: name -> pointer to where it does so first."""

    step: Step
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a step is read by."""

    workflow: Mapping[str, dict[str, Any]]
    definitions: Definitions
    catalogue: Catalogue
    names: Names
    reading: Reading


def read_steps(context: Context) -> dict[str, Compiled]:
    """Compile every step whose type is known, in the order of the document."""
    found: dict[str, Compiled] = {}
    for key, given in context.workflow.items():
        at = pointer("workflow", key)
        kind = _read_type(key, given, at, context.reading)
        if kind is not None:
            found[key] = _read_step(key, given, kind, at, context)
    return found


def _read_type(key: str, given: Json, at: str, reading: Reading) -> StepType | None:
    report = reading.report
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        said = f"`{kind[:100]}` is no step type" if isinstance(kind, str) else "The step has no `type`"
        report.refuse("step-type-unknown", below(at, "type"), f"{said}; one of {', '.join(_TYPES)} is needed.")
    if not is_identifier(key):
        message = f"The key `{key[:100]}` is no identifier; `type--UUID` is needed, the UUID of version 1 to 5."
        report.relax("identifier-format", at, message, "used as opaque text")
    elif uuid_version(key) != 4:
        report.warn("identifier-version", at, "The UUID of a step's id is of version 4.")
    if isinstance(kind, str) and kind in _TYPES and type_of(key) not in (None, kind):
        message = f"The key begins with another name than the step's type, `{kind}`."
        report.relax("identifier-prefix", at, message, "the type counts")
    return _TYPES.get(kind) if isinstance(kind, str) else None


def _read_step(key: str, given: Json, kind: StepType, at: str, context: Context) -> Compiled:
    step = _read_common(key, given, kind, at, context)
    if kind == StepType.ACTION:
        return _read_action(step, given, at, context)
    if kind == StepType.PLAYBOOK_ACTION:
        return _read_playbook_action(step, given, at, context)
    if kind in (StepType.IF, StepType.WHILE):
        return _read_condition(step, given, at, context)
    if kind == StepType.SWITCH:
        return _read_switch(step, given, at, context)
    return Compiled(step)


def _read_common(key: str, given: Json, kind: StepType, at: str, context: Context) -> Step:
    reading = context.reading
    inspect(given, shapes.STEPS[kind.value], at, reading.report)
    inspect_references(given, at, reading.report)
    where = read_pointers(given, kind, at, context.workflow, reading)
    name, description = given.get("name"), given.get("description")
    timeout = reading.milliseconds(given, "timeout", at)
    owner = given.get("owner")
    return Step(
        id=key,
        type=kind,
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else "",
        delay=reading.milliseconds(given, "delay", at),
        timeout=timeout or None,
        owner=owner if isinstance(owner, str) else None,
        variables=read_variables(given, "step_variables", at, reading),
        on_completion=where.on_completion,
        on_success=where.on_success,
        on_failure=where.on_failure,
        on_true=where.on_true,
        on_false=where.on_false,
        cases=where.cases,
        next_steps=where.next_steps,
    )


# -- action


def _read_action(step: Step, given: Json, at: str, context: Context) -> Compiled:
    reading = context.reading
    agent = _read_agent(given, at, context)
    targets = _read_targets(given, at, context)
    around = surroundings(context.definitions.agents.get(agent or ""), context.catalogue, context.names.irregular)
    commands = tuple(
        read_command(command, below(at, "commands", index), around, reading)
        for index, command in reading.objects(given, "commands", at)
    )
    if given.get("commands") in (None, []):
        message = "An action gives at least one command in `commands`."
        relaxed = "a request to a person, who is shown name and description"
        reading.report.relax("commands-missing", below(at, "commands"), message, relaxed)
    for index, command in enumerate(commands):
        _check_connector(command.type, below(at, "commands", index), around, reading, for_people=command.for_people)
    outputs = read_outputs(given, at, reading)
    step = replace(
        step,
        commands=commands,
        agent=agent,
        targets=targets,
        in_args=_read_arguments(given, "in_args", at, reading),
        out_args=_read_arguments(given, "out_args", at, reading),
        outputs=tuple(mapping for mapping, _ in outputs),
        question=people.ask_for_work(commands, step.name, step.description),
    )
    reads = _reads_of_action(step, at, context)
    for mapping, place in outputs:
        if mapping.variable is not None:
            reads.setdefault(mapping.variable, place)
    writes = _arguments(step.out_args, "out_args", at) | {mapping.name: place for mapping, place in outputs}
    return Compiled(step, reads, writes)


def _read_agent(given: Json, at: str, context: Context) -> str | None:
    report = context.reading.report
    agent = context.reading.text(given, "agent", at)
    if given.get("agent") is None:
        message = "An action names its `agent`, by its id in agent_definitions."
        report.relax("agent-missing", below(at, "agent"), message, "the command's type chooses what carries it out")
    elif agent is not None and agent not in context.definitions.agents:
        message = f"`{agent[:100]}` is not in agent_definitions; define it there."
        report.refuse("agent-unresolved", below(at, "agent"), message)
    return agent


def _read_targets(given: Json, at: str, context: Context) -> tuple[str, ...]:
    targets = context.reading.names(given, "targets", at)
    for index, target in enumerate(targets):
        if target not in context.definitions.targets:
            message = f"`{target[:100]}` is not in target_definitions; define it there."
            context.reading.report.refuse("target-unresolved", below(at, "targets", index), message)
    return targets


def _check_connector(kind: str, at: str, around: Surroundings, reading: Reading, *, for_people: bool) -> None:
    if for_people or around.is_for_fin or kind in around.catalogue.command_types or kind not in COMMAND_TYPES:
        return
    message = f"No connector for commands of type {kind} is installed; the step will fail with no_connector."
    reading.report.warn("connector-missing", below(at, "type"), message)


def _reads_of_action(step: Step, at: str, context: Context) -> dict[str, str]:
    """Return what an action reads: in its commands, its arguments, its agent, its targets and their log-ons."""
    reads: dict[str, str] = {}
    for index, command in enumerate(step.commands):
        headers = [value for values in command.headers.values() for value in values]
        texts = [command.text, command.content, *headers]
        note_names(texts, below(at, "commands", index), context.names, reads, context.reading.report)
    definitions = context.definitions
    for name in definitions.agent_reads.get(step.agent or "", ()):
        reads.setdefault(name, below(at, "agent"))
    for index, target in enumerate(step.targets):
        for name in definitions.target_reads.get(target, ()):
            reads.setdefault(name, below(at, "targets", index))
    for name, place in _arguments(step.in_args, "in_args", at).items():
        reads.setdefault(name, place)
    return reads


# -- playbook-action


def _read_playbook_action(step: Step, given: Json, at: str, context: Context) -> Compiled:
    reading = context.reading
    playbook = reading.text(given, "playbook_id", at)
    if given.get("playbook_id") is None:
        message = "A playbook-action names the playbook that it runs, as `playbook_id`."
        reading.report.relax("schema", below(at, "playbook_id"), message, "the step fails with playbook_not_found")
    elif playbook is not None:
        _check_playbook(playbook, below(at, "playbook_id"), context)
    outputs = read_outputs(given, at, reading)
    step = replace(
        step,
        playbook_id=playbook,
        playbook_version=reading.text(given, "playbook_version", at),
        in_args=_read_arguments(given, "in_args", at, reading),
        out_args=_read_arguments(given, "out_args", at, reading),
        outputs=tuple(mapping for mapping, _ in outputs),
    )
    writes = _arguments(step.out_args, "out_args", at) | {mapping.name: place for mapping, place in outputs}
    return Compiled(step, _arguments(step.in_args, "in_args", at), writes)


def _check_playbook(playbook: str, at: str, context: Context) -> None:
    if not is_identifier(playbook):
        message = "This is no id of a playbook; `playbook--UUID` is needed."
        context.reading.report.relax("identifier-format", at, message, "used as opaque text")
    if playbook not in context.catalogue.playbooks:
        message = f"No playbook `{playbook[:100]}` is stored; the step will fail with playbook_not_found."
        context.reading.report.warn("playbook-unknown", at, message)


# -- conditions


def _read_condition(step: Step, given: Json, at: str, context: Context) -> Compiled:
    report = context.reading.report
    place = below(at, "condition")
    text = context.reading.text(given, "condition", at)
    ask = "a yes/no decision by a person, asked each time"
    if text is None or not text.strip():
        if given.get("condition") is None or isinstance(given["condition"], str):
            report.relax("condition-missing", place, "The step has no condition; give it `condition`.", ask)
        return Compiled(replace(step, question=people.ask_for_decision(None, step.name, step.description)))
    try:
        parsed = conditions.parse(text, lenient=True, declared=context.names.near(text))
    except conditions.NotACondition as error:
        message = f"This is no condition that a machine decides. {error}"
        report.relax("condition-prose", place, message, ask)
        return Compiled(replace(step, question=people.ask_for_decision(text, step.name, step.description)))
    if parsed.form == "lenient":
        message = "The condition is not written by the grammar, such as `__name__:value = 'text'`."
        report.relax("condition-lenient", place, message, "read by the lenient grammar")
    reads = dict.fromkeys(conditions.variables_in(parsed.ast), place)
    return Compiled(replace(step, condition=parsed.ast), reads)


def _read_switch(step: Step, given: Json, at: str, context: Context) -> Compiled:
    report = context.reading.report
    place = below(at, "switch")
    text = context.reading.text(given, "switch", at)
    found = conditions.switch_variable(text, declared=context.names.near(text)) if text else None
    if found is None:
        if given.get("switch") is None or text is not None:
            relaxed = "a choice among the cases by a person"
            message = "The switch names no variable; `__name__:value` is needed."
            report.relax("switch-missing", place, message, relaxed)
        return Compiled(replace(step, question=people.ask_for_case(text, step.name, step.description, step.cases)))
    variable, is_strict = found
    if not is_strict:
        report.relax("switch-lenient", place, "A switch names its variable as `__name__:value`.", f"`{variable}`")
    return Compiled(replace(step, switch=variable), {variable: place})


# -- arguments


def _read_arguments(given: Json, name: str, at: str, reading: Reading) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reading.names(given, name, at)))


def _arguments(names: Collection[str], which: str, at: str) -> dict[str, str]:
    return {name: below(at, which, index) for index, name in enumerate(names)}
