"""Prepare: from a step and the variables to the calls that a connector can make (EXECUTION-SEMANTICS 6.4).

An error here is an outcome ``failed`` before anything was sent. Values are kept apart from the author's text until the
connector joins them with the quoting of their place (SEC-10).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from connectors.base import Part, Parts, Trust
from connectors.dispatch import Call, Destination
from core.quoting import UnsafePlaceholder
from core.secrets import MASK, Secret
from executions import phases
from executions.engine import substitution, templates
from executions.engine.variables import Scopes
from executions.models import Execution
from executions.services.claiming import Work
from playbooks import selectors as playbooks
from playbooks.cacao import references
from playbooks.cacao.types import AgentTarget, Command, Value, Variable, Workflow
from playbooks.models import PlaybookVersion

#: a variable whose name says what it holds (CACAO.md 15)
SECRET_NAME = re.compile("password|passwd|token|secret|key|webhook", re.IGNORECASE)


class CannotPrepare(Exception):
    """``reason`` is a word of CACAO.md 12.3; nothing was sent."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def calls_of(work: Work) -> list[Call]:
    """Return the calls of a step: commands in order, each on all targets in their order (D19). Raises CannotPrepare."""
    if work.step.operation is not None:
        return [_operation(work)]
    return _Preparing(work).calls()


def _operation(work: Work) -> Call:
    operation = work.step.operation
    assert operation is not None
    inputs = work.execution.inputs
    overrides = inputs.get("overrides", {})
    own = {name: value for name, value in operation.parameters.items() if name not in overrides}
    try:
        context = work.facts.template_context(work.run.scope_path, work.run.step_id) if templates.paths_of(own) else {}
        arguments = templates.resolve(own, context)
    except templates.UndefinedPath as error:
        raise CannotPrepare("undefined_variable", str(error)) from error
    replaced = {name: overrides[name] for name in operation.parameters if name in overrides}
    return Call(key=str(work.run.id), arguments={**arguments, **replaced}, operation=operation.name)


class _Preparing:
    """The calls of a CACAO action."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.step = work.step
        self.scopes = Scopes(work.workflow, work.facts)
        self.path = work.run.scope_path
        self.declared = self.scopes.declared(self.path, self.step)
        self._secrets: Mapping[str, Mapping[str, Secret]] | None = None

    def calls(self) -> list[Call]:
        agent = self._destination(self.work.workflow.agents.get(self.step.agent or ""))
        targets = [self._destination(self.work.workflow.targets[t]) for t in self.step.targets] or [None]
        is_single = len(self.step.commands) == 1 and len(targets) == 1
        scripted = self.work.execution.script is not None
        chosen = range(len(self.step.commands)) if scripted else phases.phase(self.step, self.work.run.note)
        return [
            Call(
                key=str(self.work.run.id) if is_single else f"{self.work.run.id}.{number}.{position}",
                arguments=self._arguments(command),
                command_type=command.type,
                target=target,
                agent=agent,
            )
            for number, command in enumerate(self.step.commands, start=1)
            if number - 1 in chosen
            for position, target in enumerate(targets, start=1)
        ]

    def lookup(self, name: str) -> tuple[Variable, Value] | None:
        return self.scopes.read(name, self.path, self.step)

    def _arguments(self, command: Command) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if command.text is not None:
            arguments["command"] = self._parts(command.text, is_encoded=command.text_is_encoded)
        if command.content is not None:
            arguments["content"] = self._parts(command.content, is_encoded=command.content_is_encoded)
        if command.headers:
            arguments["headers"] = {
                name: tuple(self._parts(value) for value in values) for name, values in command.headers.items()
            }
        return arguments

    def _parts(self, text: str, *, is_encoded: bool = False) -> Parts:
        """References are replaced in base64 first, then in what it says (12.11)."""
        try:
            if is_encoded:
                found = substitution.decoded_parts(text, self.lookup, self.declared)
            else:
                found = substitution.parts(text, self.lookup, self.declared)
        except substitution.UnresolvedVariable as error:
            raise CannotPrepare("unresolved_variable", str(error)) from error
        except UnsafePlaceholder as error:
            raise CannotPrepare("unsafe_placeholder", error.message) from error
        return tuple(Part(part.text, Trust(part.trust), part.type, part.name) for part in found)

    def _destination(self, found: AgentTarget | None) -> Destination | None:
        if found is None:
            return None
        try:
            filled = substitution.plain(dict(found.properties), self.lookup, self.declared)
            given = self.work.workflow.authentication.get(found.authentication or "")
            authentication = substitution.plain(dict(given), self.lookup, self.declared).value if given else None
        except substitution.UnresolvedVariable as error:
            raise CannotPrepare("unresolved_variable", str(error)) from error
        return Destination(
            id=found.id,
            type=found.type,
            name=found.name,
            properties=filled.value,
            authentication=authentication,
            secrets=self._literal_secrets(found.authentication),
            outside=filled.outside,
        )

    def _literal_secrets(self, authentication: str | None) -> Mapping[str, Secret]:
        if authentication is None:
            return {}
        if self._secrets is None:
            self._secrets = playbooks.literal_secrets_of(_version(self.work))
        return self._secrets.get(authentication, {})


def _version(work: Work) -> PlaybookVersion:
    return Execution.objects.select_related("version").get(pk=work.execution.id).version


def shown_commands(work: Work, calls: list[Call]) -> list[str]:
    """Return each call's command with its variables filled in and secrets masked, base64, as the report shows it."""
    secret = secret_names(work.workflow)
    shown = []
    for call in calls:
        parts = call.arguments.get("command")
        text = "".join(MASK if is_secret(part.name, secret) else part.text for part in parts) if parts else ""
        shown.append(base64.b64encode((text or call.operation or "").encode()).decode())
    return shown


def secret_names(workflow: Workflow) -> frozenset[str]:
    """The variables that stand in authentication information."""
    texts = [value for login in workflow.authentication.values() for value in login.values() if isinstance(value, str)]
    return frozenset(name for text in texts for name in references.names_in(text, workflow.variables))


def is_secret(name: str, known: frozenset[str]) -> bool:
    return bool(name) and (name in known or SECRET_NAME.search(name) is not None)
