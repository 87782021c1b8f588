"""Which steps are for a fin, and what the fin is told: one job for all commands and targets of a step."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from connectors.base import OCTETS, Endpoint, Part, Parts
from connectors.fin import selectors
from connectors.fin.models import FinCapability, FinTransport
from connectors.fin.schema import JOB
from connectors.planning import FIN, Call, Credential, Destination, Plan, PlannedCall
from core.clock import database_now
from core.errors import Invalid
from core.quoting import join_header, join_json, join_shell, join_start_line, join_text
from core.quoting.places import SAFE_IN_TERSE_CODE, Place, fit, is_outside
from core.secrets import Secret

FIN_TYPE: Final = "soarca-fin"
FIN_NAMES: Final = "soarca-fin-"
#: agents that are somebody else, whatever a fin calls itself: CACAO's own types, and SOARCA's names for its own work
NOT_FINS: Final = frozenset(
    """
    individual group organization location sector http-api ssh linux net-address security-category
    soarca soarca-ssh soarca-http-api soarca-openc2-http soarca-powershell soarca-manual soarca-manual-capability
    """.split()
)
_SHELLS: Final = {"ssh": "sh", "bash": "bash", "powershell": "powershell"}
_REQUESTS: Final = frozenset({"http-api", "openc2-http"})
_ANY_LANGUAGE = Place("in a command whose language is not known", safe=SAFE_IN_TERSE_CODE)
#: what the library for fins over MQTT can read
_MQTT_LOGINS: Final = frozenset({"http-basic", "oauth2", "user-auth"})


class NoFin(Invalid):
    """No fin that is there carries the step out."""

    code = "no_connector"


class NotForFins(Invalid):
    """The step holds what cannot be told to a fin."""

    code = "argument_invalid"


class SecretRefused(Invalid):
    code = "destination_refused"


def plan_for(tenant_id: UUID, calls: Sequence[Call]) -> Plan | None:
    """Return the plan of a step whose agent is a fin; None where it is none. Raises Invalid.

    Only agents of types that CACAO does not know cost a query.
    """
    agent = calls[0].agent if calls and calls[0].operation is None else None
    if agent is None or agent.type in NOT_FINS or agent.name in NOT_FINS:
        return None
    capability = _capability(tenant_id, agent)
    if capability is None:
        return None
    effect = selectors.effect_of(tenant_id, capability.key)
    call = PlannedCall(
        key=calls[0].key.partition(".")[0],
        spec=JOB,
        arguments={
            "capability": capability.key,
            "commands": [_command(call) for call in _each_command(calls)],
            "targets": [_target(target, agent, capability.transport) for target in _targets(calls)],
        },
        effect=effect,
        endpoints=(
            Endpoint(
                name=capability.key,
                kind=FIN,
                settings={"tenant": str(tenant_id), "transport": capability.transport},
            ),
        ),
        credential=Credential(literal=_secrets(calls, agent)),
        destination=agent.name,
    )
    return Plan(calls=(call,), effect=effect, call_limit=JOB.call_limit)


def _capability(tenant_id: UUID, agent: Destination) -> FinCapability | None:
    """The capability an agent names, by its type, then by its name. Raises NoFin where its fins are all away."""
    known = list(selectors.capabilities_of(tenant_id))
    named = [capability for capability in known if capability.key == agent.type]
    named = named or [capability for capability in known if _is_named(agent.name, capability)]
    if not named:
        if agent.type == FIN_TYPE or agent.name.startswith(FIN_NAMES):
            raise NoFin(f"No fin is registered for the agent {agent.name!r}.")
        return None
    now = database_now()
    live = next((capability for capability in named if selectors.is_live(capability.fin, now=now)), None)
    if live is None:
        raise NoFin(f"No fin for the agent {agent.name!r} is there now.")
    return live


def _is_named(name: str, capability: FinCapability) -> bool:
    if name == capability.key:
        return True
    return (
        capability.transport == FinTransport.MQTT and name.startswith(FIN_NAMES) and name.endswith(f"-{capability.key}")
    )


def _each_command(calls: Sequence[Call]) -> list[Call]:
    """One call for each command: the calls are commands by targets."""
    first = calls[0].target.id if calls[0].target else None
    return [call for call in calls if (call.target.id if call.target else None) == first]


def _targets(calls: Sequence[Call]) -> list[Destination]:
    return list({call.target.id: call.target for call in calls if call.target is not None}.values())


def _command(call: Call) -> dict[str, Any]:
    """One command as a fin gets it. Raises UnsafePlaceholder where a value could be taken for something else."""
    kind, given = call.command_type or "", call.arguments
    command: dict[str, Any] = {"type": kind, "command": None, "content": None, "content_b64": None, "headers": None}
    text: Parts = given.get("command") or ()
    if any(part.type == OCTETS for part in text):
        command["command_b64"] = "".join(part.text for part in text)
    elif text:
        command["command"] = _text(text, kind)
    content: Parts = given.get("content") or ()
    if any(part.type == OCTETS for part in content):
        command["content_b64"] = "".join(part.text for part in content)
    elif content:
        command["content"] = join_json(content)
        if kind == "openc2-http":
            command["content_b64"] = base64.b64encode(command["content"].encode()).decode()
    if given.get("headers"):
        command["headers"] = {
            name: [join_header(value) for value in values] for name, values in given["headers"].items()
        }
    return command


def _text(parts: Parts, kind: str) -> str:
    if not any(is_outside(part) for part in parts):
        return join_text(parts)
    if kind in _SHELLS:
        return join_shell(parts, _SHELLS[kind])
    if kind in _REQUESTS:
        method, target = join_start_line(parts)
        return f"{method} {target} HTTP/1.1"
    return "".join(_fitted(part) for part in parts)


def _fitted(part: Part) -> str:
    return fit(part, _ANY_LANGUAGE) if is_outside(part) else part.text


def _target(target: Destination, agent: Destination, transport: str) -> dict[str, Any]:
    """A target with how to log on, its secrets left out."""
    owner = _login_owner(target, agent)
    login = owner.authentication if owner else None
    if login is not None and transport == FinTransport.MQTT and login.get("type") not in _MQTT_LOGINS:
        raise NotForFins(f"Target {target.name!r}: over MQTT a fin takes {', '.join(sorted(_MQTT_LOGINS))} only.")
    properties = {name: value for name, value in target.properties.items() if name != "authentication_info"}
    return {
        "target": {**properties, "id": target.id, "type": target.type, "name": target.name, **_address(target)},
        "authentication": None if login is None else dict(login),
        "owner": owner.id if owner else None,
    }


def _login_owner(target: Destination, agent: Destination) -> Destination | None:
    """Whose log-on counts: the target's, else the agent's (CACAO.md, D33)."""
    return next((place for place in (target, agent) if place.authentication is not None), None)


def _address(target: Destination) -> dict[str, Any]:
    """Port as text, addresses as lists of text, as fins read them."""
    found: dict[str, Any] = {}
    port, address = target.properties.get("port"), target.properties.get("address")
    if port is not None:
        found["port"] = str(port)
    if isinstance(address, Mapping):
        found["address"] = {
            kind: [str(value) for value in (values if isinstance(values, list | tuple) else [values])]
            for kind, values in address.items()
        }
    return found


def _secrets(calls: Sequence[Call], agent: Destination) -> dict[str, Secret]:
    """``<target index>.<property>`` -> secret. A secret of the document goes with the addresses written in it only."""
    found: dict[str, Secret] = {}
    for index, target in enumerate(_targets(calls)):
        owner = _login_owner(target, agent)
        if owner is not None and owner.secrets and target.address_is_outside:
            raise SecretRefused("A secret of the document goes only to addresses written in it.")
        found |= {f"{index}.{name}": secret for name, secret in (owner.secrets if owner else {}).items()}
    return found
