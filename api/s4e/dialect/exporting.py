"""Writes an S4E playbook as a CACAO 2.0 document: the same flow in CACAO's words, the S4E words in our extension.

Ids are made from the playbook's own CACAO id, so that two exports are equal.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from api.s4e.dialect import extension, stix
from api.s4e.dialect.folding import Folded, fold_delays
from core import strict_json
from playbooks.cacao.types import Step, StepType, Workflow
from playbooks.timestamps import text_of

#: a constant of every document with a carrier (folding.py): its condition
PASSED: Final = "__delay_is_over__"
VERSION: Final = "__version__"
#: what the official schema takes for a URL; other addresses are given by host and port
_SCHEMA_URL = re.compile(r"[(http(s)?):/(www.)?a-zA-Z0-9@:%._+~#=]{2,256}\.[a-z]{2,6}\b([-a-zA-Z0-9@:%_+.~#?&//=]*)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Identity:
    """What the store knows of a playbook beside its document. ``public_url``: where actions are offered."""

    cacao_id: str
    public_id: str
    tenant_id: UUID
    created_at: datetime
    modified_at: datetime
    public_url: str
    derived_from: Sequence[str] = ()


def export(document: Mapping[str, Any], workflow: Workflow, identity: Identity) -> dict[str, Any]:
    """Return the CACAO document of an S4E ``document`` (as its author wrote it) compiled to ``workflow``."""
    return _Writer(document, workflow, identity).playbook()


def step_ids(steps: Iterable[Step], cacao_id: str) -> dict[str, str]:
    """Return step id -> its CACAO id."""
    return {step.id: cacao_step_id(cacao_id, step.id, step.type) for step in steps}


def cacao_step_id(cacao_id: str, step_id: str, step_type: str) -> str:
    """Return the type and a UUID made from both ids, so that it is the same in every export."""
    return f"{step_type}--{made_uuid(cacao_id, step_id)}"


def made_uuid(*names: str) -> UUID:
    """Return a UUID in the form of version 4 that is always the same for the same names."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return UUID(bytes=digest[:16], version=4)


class _Writer:
    def __init__(self, document: Mapping[str, Any], workflow: Workflow, identity: Identity) -> None:
        self.document = document
        self.identity = identity
        self.workflow = workflow
        self.written = {step["id"]: step for step in document["steps"]}
        self.folded: Folded = fold_delays(workflow)
        self.ids = step_ids(self.folded.steps.values(), identity.cacao_id)
        # The official schema takes UUIDs of versions 1 to 5 only.
        self.created_by = f"identity--{UUID(int=identity.tenant_id.int, version=4)}"
        self.variables: dict[str, Any] = {
            VERSION: {"type": "string", "value": document["version"], "constant": True},
        }
        self.agents: dict[str, Any] = {}

    def playbook(self) -> dict[str, Any]:
        steps = {self.ids[step.id]: self._step(step) for step in self.folded.steps.values()}
        identity, document = self.identity, self.document
        written: dict[str, Any] = {
            "type": "playbook",
            "spec_version": "cacao-2.0",
            "id": identity.cacao_id,
            "name": document["name"],
            "description": document.get("description"),
            "created_by": self.created_by,
            "created": text_of(identity.created_at),
            "modified": text_of(identity.modified_at),
            "derived_from": list(identity.derived_from),
            "labels": document.get("tags"),
            "playbook_variables": self.variables,
            "workflow_start": self.ids[self.workflow.start],
            "workflow": steps,
            "playbook_extensions": {extension.ID: self._extension()},
            "agent_definitions": self.agents,
            "extension_definitions": {extension.ID: extension.definition(created_by=self.created_by)},
        }
        return {name: value for name, value in written.items() if value}

    def _extension(self) -> dict[str, Any]:
        kept = {
            name: self.document[name]
            for name in ("trigger", "on_failure", "max_retries", "timeout_minutes", "inputs")
            if self.document.get(name) is not None
        }
        return {
            "type": extension.PLAYBOOK,
            "playbook_id": self.identity.public_id,
            **kept,
            "steps": [step["id"] for step in self.document["steps"]],
            "ids_of": self.identity.cacao_id,
        }

    def _step(self, step: Step) -> dict[str, Any]:
        written: dict[str, Any] = {"type": str(step.type)}
        written["name"] = step.name or {StepType.START: "Start", StepType.END: "End"}.get(step.type, step.id)
        if step.delay:
            written["delay"] = _milliseconds(step.delay)
        timeout = step.question.deadline if step.question else step.timeout
        if timeout:
            written["timeout"] = _milliseconds(timeout)
        match step.type:
            case StepType.ACTION:
                written |= self._approval(step) if step.question else self._action(step)
            case StepType.IF:
                written |= self._condition(step)
            case StepType.PARALLEL:
                written["next_steps"] = [self.ids[first] for first in step.next_steps]
        written |= self._pointers(step)
        own = self._step_extension(step)
        return written | ({"step_extensions": {extension.ID: own}} if own else {})

    def _pointers(self, step: Step) -> dict[str, str]:
        """CACAO gives either on_completion, or on_success with or without on_failure."""
        if step.on_completion and not step.on_failure:
            return {"on_completion": self.ids[step.on_completion]}
        ways = {"on_success": step.on_success or step.on_completion, "on_failure": step.on_failure}
        return {name: self.ids[target] for name, target in ways.items() if target}

    def _step_extension(self, step: Step) -> dict[str, Any]:
        own: dict[str, Any] = {}
        if step.id in self.written:
            own["step"] = self.written[step.id]
        delays = self.folded.delays.get(step.id)
        if delays:
            own["delays"] = [self.written[delay] for delay in delays]
        return {"type": extension.STEP, **own} if own else {}

    def _action(self, step: Step) -> dict[str, Any]:
        assert step.operation is not None
        content = strict_json.dumps(dict(step.operation.parameters)).decode("utf-8")
        command = {
            "type": "http-api",
            "command": f"POST /api/actions/{step.operation.reference}/trigger HTTP/1.1",
            "headers": {"Content-Type": ["application/json"]},
            # Written so that no text in it reads as a reference to a CACAO variable.
            "content": content.replace("__", "\\u005f\\u005f"),
        }
        return {"commands": [command], "agent": self._own_agent()}

    def _approval(self, step: Step) -> dict[str, Any]:
        assert step.question is not None
        command = {"type": "manual", "command": step.question.text}
        return {"commands": [command], "agent": self._people(step.question.approvers)}

    def _condition(self, step: Step) -> dict[str, Any]:
        ways = {"on_true": step.on_true, "on_false": step.on_false}
        return {
            "condition": self._condition_text(step),
            **{name: self.ids[target] for name, target in ways.items() if target},
        }

    def _condition_text(self, step: Step) -> str:
        """The condition in STIX grammar, over variables that are declared here."""
        if step.id in self.folded.carriers:
            self.variables[PASSED] = {"type": "bool", "value": "true", "constant": True}
            return f"{PASSED}:value = true"
        assert step.expression is not None
        said = stix.condition_of(step.expression)
        if said is None:
            name = self._answer_variable(step.id)
            self.variables[name] = {"type": "bool", "description": step.expression, "external": True}
            return f"{name}:value = true"
        for root in said.roots:
            described = f"The {root} that the playbook is run with"
            self.variables[f"__{root}__"] = {"type": "dictionary", "description": described, "external": True}
        return said.text

    def _answer_variable(self, step_id: str) -> str:
        plain = step_id[0].isalpha() and not step_id.startswith("sallyport_")
        name = f"__{step_id}__" if plain else f"__step_{step_id}__"
        while name in self.variables or name in (VERSION, PASSED):
            name = f"__step_{name[2:]}"
        return name

    def _own_agent(self) -> str:
        agent = f"http-api--{made_uuid(self.identity.cacao_id, 'agent')}"
        self.agents[agent] = {"type": "http-api", "name": "Sallyport", **_address(self.identity.public_url)}
        return agent

    def _people(self, approvers: Sequence[str]) -> str:
        """The agent of an approval: one person where one e-mail address is given, else a group."""
        is_person = len(approvers) == 1 and _EMAIL.fullmatch(approvers[0]) is not None
        kind = "individual" if is_person else "group"
        agent = f"{kind}--{made_uuid(self.identity.cacao_id, 'people', *approvers)}"
        written: dict[str, Any] = {"type": kind, "name": ", ".join(approvers) or "Approvers"}
        if is_person:
            written["contact"] = {"email": {"work": approvers[0]}}
        self.agents[agent] = written
        return agent


def _address(url: str) -> dict[str, Any]:
    if _SCHEMA_URL.search(url):
        return {"address": {"url": [url]}}
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        kind = f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        kind = "dname"
    return {"address": {kind: [host]}, "port": str(port)}


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
