"""Follows secrets to where they should not go: logs, people, descriptions, addresses, other people's systems.

A secret is what a log-on's secret properties name, a variable whose name says so, and what is computed from one.
Source: CACAO.md 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from playbooks.cacao.check_effects import SHELLS
from playbooks.cacao.check_findings import quoted, quoted_all
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_prints import prints
from playbooks.cacao.check_secrets import says_secret
from playbooks.cacao.check_uses import PUBLIC_OF_LOGON, Text, Where
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.references import Reference, names_in
from playbooks.cacao.types import AgentTarget, Step
from playbooks.cacao.vocabularies import HTTP_COMMANDS

#: stands for a reference in a command whose words are looked at
_MARK: Final = "\ue000"


def check_leaks(model: Model) -> None:
    secrets = _Secrets(model)
    for step in model.workflow.steps.values():
        for text in model.uses.texts[step.id]:
            found = [name for name in text.names if name in secrets.names]
            if found:
                _check_text(model, step, text, found, secrets)
        _check_descriptions(model, pointer("workflow", step.id), model.given(step.id), secrets)
    _check_descriptions(model, "", model.document, secrets)
    _check_addresses(model, secrets)
    secrets.report_wanderers()


class _Secrets:
    """The names of secret variables, and to which agents and targets each belongs."""

    def __init__(self, model: Model) -> None:
        self._model = model
        #: secret -> ids of the log-ons that it is part of
        self.logons: dict[str, set[str]] = {}
        for key, uses in model.uses.logons.items():
            for use in uses:
                if use.property not in PUBLIC_OF_LOGON:
                    self.logons.setdefault(use.name, set()).add(key)
        declared = [*model.workflow.variables.values()]
        declared += [variable for step in model.workflow.steps.values() for variable in step.variables.values()]
        self.names = {one.name for one in declared if says_secret(one.name, one.type)} | set(self.logons)
        #: secrets without a log-on: (secret, place, what it was sent to)
        self._sent: dict[str, dict[str, str]] = {}
        self._spread()

    def _spread(self) -> None:
        """Add what is computed from secrets: assignments, and outputs of commands that print them."""
        flows: dict[str, set[str]] = {}
        for step in self._model.workflow.steps.values():
            for source, target in self._flows(step):
                flows.setdefault(source, set()).add(target)
        pending = list(self.names)
        while pending:
            for target in flows.get(pending.pop(), ()):
                if target not in self.names:
                    self.names.add(target)
                    pending.append(target)

    def _flows(self, step: Step) -> Iterator[tuple[str, str]]:
        for mapping in step.outputs:
            if mapping.variable is not None:
                yield mapping.variable, mapping.name
        written = [*step.out_args, *(mapping.name for mapping in step.outputs if mapping.variable is None)]
        for text in self._model.uses.texts[step.id] if written else ():
            if text.where is Where.COMMAND and text.command.type in SHELLS and not text.command.for_people:
                for source in _printed(text, text.names):
                    yield from ((source, target) for target in written)

    def belongs(self, secret: str, places: Sequence[AgentTarget]) -> bool:
        """Return whether one of the places logs on with the secret; true for a secret that no log-on names."""
        logons = self.logons.get(secret)
        return logons is None or any(place.authentication in logons for place in places)

    def sent(self, secret: str, place: str, at: str) -> None:
        if secret not in self.logons:
            self._sent.setdefault(secret, {}).setdefault(place, at)

    def report_wanderers(self) -> None:
        """Report secrets that no log-on names and that go to several places: at each but the first."""
        for secret, places in self._sent.items():
            first, *others = places.items()
            for place, at in others:
                message = (
                    f"{quoted(secret)} is sent to {quoted(place)}, and to {quoted(first[0])} too: a secret belongs to "
                    "one system. Give each its own, in the `authentication_info` of the target."
                )
                self._model.findings.add("secret-to-other-target", at, message)


def _check_text(model: Model, step: Step, text: Text, found: list[str], secrets: _Secrets) -> None:
    if text.command.for_people:
        message = f"{quoted_all(found)} is a secret, and this text is shown to people and stored; leave it out."
        model.findings.add("secret-to-log", text.at, message)
    elif text.where is Where.COMMAND and text.command.type in SHELLS:
        printed = _printed(text, found)
        if printed:
            message = f"The command prints or logs {quoted_all(printed)}, a secret; pass it without showing it."
            model.findings.add("secret-to-log", text.at, message)
    elif text.where is Where.COMMAND and text.command.type in HTTP_COMMANDS:
        message = (
            f"{quoted_all(found)} is a secret, and start lines are logged on the way; send it in a header, or let the "
            "target's `authentication_info` log on."
        )
        model.findings.add("secret-to-url", text.at, message)
    elif text.where in (Where.CONTENT, Where.HEADER):
        _check_destination(model, step, text, found, secrets)


def _check_destination(model: Model, step: Step, text: Text, found: list[str], secrets: _Secrets) -> None:
    agent = model.agent_of(step)
    targets = model.targets_of(step) or ([agent] if agent is not None else [])
    around = [agent] if agent is not None else []
    for target in targets:
        # Where a target has no log-on of its own, the agent's is the one that is used (D33).
        places = [target] if target.authentication is not None else [target, *around]
        strange = [name for name in found if not secrets.belongs(name, places)]
        if strange:
            message = (
                f"{quoted_all(strange)} is a secret of another log-on, and is sent to {quoted(target.name)}; send each "
                "system its own secret only."
            )
            model.findings.add("secret-to-other-target", text.at, message)
        for name in found:
            secrets.sent(name, target.name, text.at)


def _check_descriptions(model: Model, at: str, owner: Mapping[str, Any], secrets: _Secrets) -> None:
    places: list[tuple[object, str]] = [(owner.get("description"), below(at, "description"))]
    for name in ("playbook_variables", "step_variables"):
        variables = owner.get(name)
        for key, variable in variables.items() if isinstance(variables, dict) else ():
            if isinstance(variable, dict):
                places.append((variable.get("description"), below(at, name, key, "description")))
    commands = owner.get("commands")
    for index, command in enumerate(commands if isinstance(commands, list) else ()):
        if isinstance(command, dict):
            places.append((command.get("description"), below(at, "commands", index, "description")))
    for text, place in places:
        if isinstance(text, str) and ("_" in text or model.names.irregular):
            found = [name for name in names_in(text, model.names.irregular) if name in secrets.names]
            if found:
                message = f"{quoted_all(found)} is a secret, and descriptions are shown to everybody; leave it out."
                model.findings.add("secret-to-log", place, message)


def _check_addresses(model: Model, secrets: _Secrets) -> None:
    for uses in (*model.uses.agents.values(), *model.uses.targets.values()):
        for use in uses:
            if use.property in ("address", "port") and use.name in secrets.names:
                message = (
                    f"{quoted(use.name)} is a secret, and addresses are shown and logged; use `authentication_info`."
                )
                model.findings.add("secret-to-url", use.at, message)


def _printed(text: Text, wanted: Sequence[str]) -> list[str]:
    """Return those of the variables that a shell command prints or logs."""
    if not wanted or text.is_encoded:
        return []
    number = {name: index for index, name in enumerate(wanted)}
    marked = "".join(
        f"{_MARK}{number[piece.name]}{_MARK}" if isinstance(piece, Reference) and piece.name in number
        else piece.text if isinstance(piece, Reference) else piece.replace(_MARK, "")
        for piece in text.pieces
    )  # fmt: skip
    shown = prints(marked, is_powershell=text.command.type == "powershell")
    return [name for name in wanted if any(f"{_MARK}{number[name]}{_MARK}" in piece for piece in shown)]
