"""The messages of fins over MQTT, read and written. Source: SOARCA's fin protocol, and its Python library 1.0.0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from connectors.fin.services import Capability
from core import strict_json
from core.errors import Invalid
from executions.services.fin_jobs import Report
from executions.services.fin_messages import Answer, Sending
from playbooks.cacao.types import Variable

#: where fins speak to us before they have a topic
OURS: Final = "soarca"
SENDER: Final = "soarca"
#: octets of a message; a larger one is dropped unread
LARGEST: Final = 5 * 2**20
LONGEST_TOPIC: Final = 200
_TOPIC = re.compile(r"[^+#/$\x00-\x1f\x7f][^+#\x00-\x1f\x7f]*")
_MESSAGE_ID = re.compile(rb'"message_id"\s*:\s*"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,200})"')
_TYPES: Final = frozenset(
    """
    bool dictionary float hexstring integer ipv4-addr ipv6-addr long mac-addr hash md5-hash sha256-hash string uri uuid
    """.split()
)
CONTROLS: Final = ("pause", "resume", "stop", "progress")


class Unreadable(Invalid):
    """No message of the protocol. ``message_id`` and ``fin_id`` as far as they could be read, for a refusal."""

    code = "unreadable"

    def __init__(self, message: str, *, message_id: str = "", fin_id: str = "") -> None:
        super().__init__(message)
        self.message_id = message_id
        self.fin_id = fin_id


@dataclass(frozen=True)
class Message:
    """A message as far as all of them are alike."""

    type: str
    message_id: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Registration:
    fin_id: str
    name: str
    protocol_version: str
    capabilities: tuple[Capability, ...]


def read(octets: bytes) -> Message:
    """Raises Unreadable."""
    if len(octets) > LARGEST:
        raise Unreadable("The message is too large.")
    try:
        body = strict_json.loads(octets)
    except strict_json.JsonInvalid as error:
        found = _MESSAGE_ID.search(octets)
        raise Unreadable(error.message, message_id=found[1].decode() if found else "") from None
    if not isinstance(body, dict):
        raise Unreadable("The message is no object.")
    kind, message_id = body.get("type"), body.get("message_id")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= 200:
        raise Unreadable("The message has no message_id.")
    if not isinstance(kind, str):
        raise Unreadable("The message has no type.", message_id=message_id)
    return Message(kind, message_id, body)


def read_registration(message: Message) -> Registration:
    """Raises Unreadable."""
    body = message.body
    fin_id = body.get("fin_id")
    if not is_topic(fin_id):
        raise Unreadable("fin_id is no topic.", message_id=message.message_id)
    given = body.get("capabilities")
    if not isinstance(given, list) or not given or len(given) > 1_000:
        raise _refused(message, "capabilities must be a list of 1 to 1,000.")
    capabilities = tuple(_capability(each, message) for each in given)
    if fin_id in {capability.key for capability in capabilities}:
        raise _refused(message, "A capability has the id of the fin, so their topics are one.")
    version = body.get("protocol_version")
    name = body.get("fin_name")
    return Registration(
        fin_id=str(fin_id),
        name=name[:200] if isinstance(name, str) else "",
        protocol_version=version[:64] if isinstance(version, str) else "",
        capabilities=capabilities,
    )


def _capability(given: object, message: Message) -> Capability:
    key = given.get("capability_id") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not is_topic(key):
        raise _refused(message, "A capability has no capability_id that could be a topic.")
    name, version = given.get("name"), given.get("version")
    told = {"type": given.get("type"), "version": version, "step": given.get("step"), "agent": given.get("agent")}
    return Capability(key=str(key), name=name[:200] if isinstance(name, str) else "", given=told)


def _refused(message: Message, why: str) -> Unreadable:
    return Unreadable(why, message_id=message.message_id, fin_id=str(message.body.get("fin_id")))


def is_topic(text: object) -> bool:
    """Whether a fin may have this topic to itself: no wildcard, none of the broker's, and not ours."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_TOPIC
        and text != OURS
        and _TOPIC.fullmatch(text) is not None
        and text.isprintable()
    )


def read_answer(message: Message) -> Answer:
    """Read a ``result``. A variable counts under its own name, whatever its key. Raises Unreadable."""
    result = message.body.get("result")
    context = result.get("context") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(context, Mapping):
        raise Unreadable("The result has no context.", message_id=message.message_id)
    state, made, step = result.get("state"), context.get("generated_on"), context.get("step_id")
    try:
        execution_id = UUID(str(context.get("execution_id")))
    except ValueError:
        raise Unreadable("execution_id is no UUID.", message_id=message.message_id) from None
    if state not in ("success", "failure") or not isinstance(step, str):
        raise Unreadable("The result is neither success nor failure of a step.", message_id=message.message_id)
    return Answer(
        message_id=message.message_id,
        execution_id=execution_id,
        step_id=step,
        generated_on=made if isinstance(made, str) else "",
        report=Report(state == "success", _values(result.get("variables"), message)),
    )


def _values(given: object, message: Message) -> dict[str, str | None]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Unreadable("variables must be an object.", message_id=message.message_id)
    values: dict[str, str | None] = {}
    for key, variable in given.items():
        value = variable.get("value") if isinstance(variable, Mapping) else variable
        if not isinstance(variable, Mapping) or not (value is None or isinstance(value, str)):
            raise Unreadable("A variable has no value that is text.", message_id=message.message_id)
        name = variable.get("name")
        values[name if isinstance(name, str) and name else key] = value
    return values


# -- what we say


def ack(message_id: str) -> dict[str, Any]:
    return {"type": "ack", "message_id": message_id}


def nack(message_id: str) -> dict[str, Any]:
    return {"type": "nack", "message_id": message_id}


def unregister(message_id: str, *, fin_id: str) -> dict[str, Any]:
    """``all`` beside the fin's id: by that alone the library ends."""
    return {"type": "unregister", "message_id": message_id, "fin_id": fin_id, "all": True}


def status(message_id: str, capability_id: str, *, progress: str) -> dict[str, Any]:
    """How we see a capability: ready, working, paused or stopped."""
    return {"type": "status", "message_id": message_id, "capability_id": capability_id, "progress": progress}


def command(sending: Sending) -> dict[str, Any]:
    """A command as the library reads it: text where it wants text, and all six fields of each variable."""
    handed, step = sending.handed, sending.handed.step
    return {
        "type": "command",
        "message_id": sending.message_id,
        "command": {
            "command": sending.command.get("command") or "",
            "authentication": sending.authentication,
            "context": {
                "step_id": handed.run.step_id,
                "playbook_id": handed.playbook_id,
                "execution_id": str(handed.run.execution_id),
                "generated_on": sending.generated_on,
                "completed_on": None,
                "timeout": _seconds(step.timeout),
                "delay": _seconds(step.delay or None),
            },
            "variables": {name: _variable(name, *found) for name, found in handed.variables.items()},
        },
        "meta": {"timestamp": sending.generated_on, "sender_id": SENDER},
    }


def _variable(name: str, declared: Variable, value: str | None) -> dict[str, Any]:
    return {
        "type": declared.type if declared.type in _TYPES else "string",
        "name": name,
        "description": declared.description or "",
        "value": "" if value is None else value,
        "constant": declared.constant,
        "external": declared.external,
    }


def _seconds(span: timedelta | None) -> int | None:
    """Whole seconds, rounded up."""
    return None if span is None else -(-span // timedelta(seconds=1))
