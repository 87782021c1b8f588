"""Where a playbook uses its variables: each text of a step that references are replaced in, and what it refers to.

Source: CACAO.md 12.10, 12.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from playbooks.cacao import conditions, references
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.names import Names
from playbooks.cacao.references import Reference
from playbooks.cacao.types import AgentTarget, Command, Step, Workflow

#: Names of one definition that count as read by the steps that use it; a definition with more is none.
_MAX_OF_A_DEFINITION: Final = 100
#: properties of agents, targets and log-ons in which references are plain text (12.11)
_NOT_REPLACED: Final = frozenset(
    "type name description location agent_target_extensions authentication_info_extensions".split()
)
#: properties of a log-on that are shown: what they hold is no secret
PUBLIC_OF_LOGON: Final = frozenset("user_id username oauth_header kms kms_key_identifier".split())

Piece = str | Reference


class Where(StrEnum):
    """What a reference stands in."""

    COMMAND = "command"
    CONTENT = "content"
    HEADER = "header"
    AGENT = "agent"  # a property of it
    TARGET = "target"
    LOGON = "log-on"
    ARGUMENT = "argument"  # in_args: passed on if there is a value
    MAPPING = "mapping"
    CONDITION = "condition"
    SWITCH = "switch"


@dataclass(frozen=True)
class Text:
    """One text of a command, and it cut at its references. ``at``: pointer to its property."""

    command: Command
    where: Where
    at: str
    text: str
    pieces: tuple[Piece, ...]
    is_encoded: bool = False

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables that it refers to, each once."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Reference)))


@dataclass(frozen=True)
class Use:
    """A variable is read at ``at``."""

    name: str
    where: Where
    at: str


@dataclass(frozen=True)
class DefinedUse:
    """An agent, a target or its log-on refers to a variable; ``property`` is the outermost one that holds it."""

    name: str
    property: str
    at: str


@dataclass(frozen=True)
class Uses:
    """All uses of a workflow. ``texts``: those of each step's commands. ``logons``: by id of the log-on."""

    texts: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    of_steps: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    agents: Mapping[str, tuple[DefinedUse, ...]] = field(default_factory=dict)
    targets: Mapping[str, tuple[DefinedUse, ...]] = field(default_factory=dict)
    logons: Mapping[str, tuple[DefinedUse, ...]] = field(default_factory=dict)


def _texts_of(step: Step, names: Names) -> Iterator[Text]:
    """Yield the texts of a step's commands in which references are replaced."""
    at = pointer("workflow", step.id, "commands")

    def cut(text: str) -> tuple[Piece, ...]:
        if "_" not in text and not names.irregular:
            return (text,)
        return references.split(text, names.irregular, dollars=True)

    for index, command in enumerate(step.commands):
        place = below(at, index)
        if command.text:
            name = "command_b64" if command.text_is_base64 else "command"
            yield Text(
                command, Where.COMMAND, below(place, name), command.text, cut(command.text), command.text_is_encoded
            )
        if command.content:
            name = "content_b64" if command.content_is_base64 else "content"
            content = command.content
            yield Text(command, Where.CONTENT, below(place, name), content, cut(content), command.content_is_encoded)
        for name, values in command.headers.items():
            for number, value in enumerate(values):
                yield Text(command, Where.HEADER, below(place, "headers", name, number), value, cut(value))


def find_uses(workflow: Workflow, names: Names) -> Uses:
    agents = _defined("agent_definitions", workflow.agents, names)
    targets = _defined("target_definitions", workflow.targets, names)
    logons = {
        key: _in_properties(pointer("authentication_info_definitions", key), given, names)
        for key, given in workflow.authentication.items()
    }
    texts = {key: tuple(_texts_of(step, names)) for key, step in workflow.steps.items()}
    uses = Uses(texts, {}, agents, targets, logons)
    return replace(uses, of_steps={key: tuple(_of_step(step, workflow, uses)) for key, step in workflow.steps.items()})


def walk(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield every text inside a JSON value, with its pointer."""
    pending = [(value, at)]
    while pending:
        item, place = pending.pop()
        if isinstance(item, str):
            yield item, place
        elif isinstance(item, Mapping):
            pending += [(member, below(place, name)) for name, member in reversed(list(item.items()))]
        elif isinstance(item, list):
            pending += [(member, below(place, index)) for index, member in reversed(list(enumerate(item)))]


def _defined(
    dictionary: str, definitions: Mapping[str, AgentTarget], names: Names
) -> dict[str, tuple[DefinedUse, ...]]:
    return {key: _in_properties(pointer(dictionary, key), one.properties, names) for key, one in definitions.items()}


def _in_properties(at: str, properties: Mapping[str, Any], names: Names) -> tuple[DefinedUse, ...]:
    found: list[DefinedUse] = []
    for name, value in properties.items():
        if name in _NOT_REPLACED:
            continue
        for text, place in walk(value, below(at, name)):
            if "_" in text or names.irregular:
                found += [DefinedUse(used, name, place) for used in references.names_in(text, names.irregular)]
    return tuple(found[:_MAX_OF_A_DEFINITION])


def _of_step(step: Step, workflow: Workflow, uses: Uses) -> Iterator[Use]:
    at = pointer("workflow", step.id)
    for text in uses.texts[step.id]:
        for name in text.names:
            yield Use(name, text.where, text.at)
    if step.commands or step.targets:
        places = [(step.agent or "", uses.agents, workflow.agents, Where.AGENT, below(at, "agent"))]
        places += [
            (target, uses.targets, workflow.targets, Where.TARGET, below(at, "targets", index))
            for index, target in enumerate(step.targets)
        ]
        for key, defined, definitions, where, place in places:
            for use in defined.get(key, ()):
                yield Use(use.name, where, place)
            logon = definitions[key].authentication if key in definitions else None
            for use in uses.logons.get(logon or "", ()):
                yield Use(use.name, Where.LOGON, place)
    for index, name in enumerate(step.in_args):
        yield Use(name, Where.ARGUMENT, below(at, "in_args", index))
    for mapping in step.outputs:
        if mapping.variable is not None:
            yield Use(mapping.variable, Where.MAPPING, below(at, "step_extensions"))
    if step.condition is not None:
        for name in conditions.variables_in(dict(step.condition)):
            yield Use(name, Where.CONDITION, below(at, "condition"))
    if step.switch is not None:
        yield Use(step.switch, Where.SWITCH, below(at, "switch"))
