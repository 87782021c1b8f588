"""Whether a prepared step needs approval, and what is approved: exactly the plan that would be carried out (I15).

What people are shown and what is hashed are one value, made from the planned calls. It holds no secret: each stands
there as ``name@version``, where the version changes whenever the secret does and says nothing about it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.crypto import salted_hmac

from connectors import dispatch
from connectors.base import Endpoint, Part
from connectors.planning import Credential, PlannedCall
from core import strict_json
from executions import phases
from executions.engine.variables import Scopes
from executions.performed import ToApprove
from executions.preparing import is_secret, secret_names
from executions.services.claiming import Work
from executions.stored_json import storable, write_json
from manual import policies
from manual.models import ManualRequest
from manual.policies import Deed

#: where the step run's note keeps what was approved: {"digest", "request", "commands_done"}
NOTE: Final = "approval"
#: an argument that holds a secret by its name, in any nesting
SECRET_ARGUMENT: Final = re.compile(
    r"password|passwd|passphrase|secret|token|authorization|cookie|webhook|(?:api|access|private)[_-]?key",
    re.IGNORECASE,
)
#: a shorter value is found in ordinary words
SHORTEST_SECRET: Final = 6


def to_approve(work: Work, plan: dispatch.Plan) -> ToApprove | None:
    """Return what people have to approve before the plan is carried out; None where they did, or need not."""
    if not work.run.may_need_approval:
        return None
    rules = policies.rules_for_calls(
        tenant_id=work.execution.tenant_id,
        playbook_id=work.execution.playbook_id,
        deeds=[_deed(call) for call in plan.calls],
    )
    if rules is None:
        return None
    shown = shown_of(work, plan)
    digest = strict_json.digest(shown)
    before: Mapping[str, Any] = work.run.note.get(NOTE) or {}
    if before.get("digest") == digest:
        return None
    is_changed = bool(before) and before.get("commands_done") == work.run.note.get(phases.DONE, 0)
    return ToApprove(rules, shown, digest, is_changed)


def approved(note: Mapping[str, Any], request: ManualRequest) -> dict[str, Any]:
    """What the step run keeps of an approval: by it alone may the step act, and only as long as the digest fits."""
    return {"digest": request.digest, "request": str(request.pk), "commands_done": note.get(phases.DONE, 0)}


def shown_of(work: Work, plan: dispatch.Plan) -> dict[str, Any]:
    """Return what the plan will do: ``{"playbook_version", "step", "scope", "calls"}``, plain JSON without secrets.

    A text with references is a list: literal text as it is, a value as ``{"variable", "value", "outside"}``.
    """
    showing = _Showing(work)
    shown: dict[str, Any] = storable(
        {
            "playbook_version": str(work.execution.version_id),
            "step": work.run.step_id,
            "scope": work.run.scope_path,
            "calls": [showing.call(call) for call in plan.calls],
        }
    )
    return shown


def _deed(call: PlannedCall) -> Deed:
    return Deed(
        operation=call.spec.name,
        effect=call.effect.value,
        reference=call.spec.reference,
        connection_id=call.connection.id if call.connection else None,
    )


class _Showing:
    """Planned calls as people see them. Values known to be secret are replaced wherever they stand in a text."""

    def __init__(self, work: Work) -> None:
        self.named = secret_names(work.workflow)
        known = {value: name for name, value in _secrets_of(work, self.named) if len(value) >= SHORTEST_SECRET}
        self.known = sorted(known.items(), key=lambda item: -len(item[0]))

    def call(self, call: PlannedCall) -> dict[str, Any]:
        connection = call.connection
        return {
            "operation": call.spec.name,
            "effect": call.effect.value,
            "target": self.text(call.destination),
            "addresses": [self.address(endpoint) for endpoint in call.endpoints],
            "connection": None
            if connection is None
            else {
                "id": str(connection.id),
                "name": connection.name,
                "kind": connection.kind,
                "version": connection.updated_at.isoformat(),
            },
            "arguments": {
                name: self.value(value, name, hidden=frozenset(call.spec.secret_fields))
                for name, value in call.arguments.items()
            },
            "secrets": _names_of(call.credential),
        }

    def address(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            "url": self.text(endpoint.url),
            "settings": self.value(dict(endpoint.settings), ""),
            "keyed": endpoint.keyed,
            "hosts": list(endpoint.hosts),
            "allow_networks": list(endpoint.allow_networks),
        }

    def value(self, value: Any, name: str, hidden: frozenset[str] = frozenset()) -> Any:
        """Return a value as it is shown; ``name``: of the member that holds it, ``hidden``: names of secret ones."""
        match value:
            case None | bool():
                return value
            case tuple() if value and all(isinstance(part, Part) for part in value):
                return self.parts(value, name)
            case list() | tuple():
                return [self.value(member, name, hidden) for member in value]
            case _ if name in hidden or SECRET_ARGUMENT.search(name):
                return _versioned(name, value)
            case str():
                return self.text(value)
            case Mapping():
                return {key: self.value(member, str(key), hidden) for key, member in value.items()}
            case _:
                return value

    def parts(self, parts: tuple[Part, ...], name: str) -> Any:
        """Return a text with references. Of a header that holds a secret by its name, nothing is shown."""
        if SECRET_ARGUMENT.search(name):
            return _versioned(name, "".join(part.text for part in parts))
        shown = [self.part(part) for part in parts]
        return shown[0] if len(shown) == 1 else shown

    def part(self, part: Part) -> Any:
        if not part.name:
            return self.text(part.text)
        if is_secret(part.name, self.named):
            return _versioned(part.name, part.text)
        shown = {"variable": part.name, "value": self.text(part.text), "outside": part.trust.value == "outside"}
        return shown if part.type == "string" else {**shown, "type": part.type}

    def text(self, text: str) -> str:
        for value, name in self.known:
            if value in text:
                text = text.replace(value, _versioned(name, value))
        return text


def _secrets_of(work: Work, named: frozenset[str]) -> list[tuple[str, str]]:
    """(name, value) of the variables and parameters whose names say that they hold a secret."""
    scopes = Scopes(work.workflow, work.facts)
    path, step = work.run.scope_path, work.step
    found: list[tuple[str, Any]] = []
    for name in scopes.declared(path, step):
        read = scopes.read(name, path, step) if is_secret(name, named) else None
        found.append((name, read[1] if read else None))
    for source in ("parameters", "inputs", "overrides"):
        given = work.execution.inputs.get(source)
        if isinstance(given, Mapping):
            found += [(name, value) for name, value in given.items() if is_secret(name, frozenset())]
    return [(name, value) for name, value in found if isinstance(value, str)]


def _names_of(credential: Credential) -> list[str]:
    """The secrets that go along, unopened: a stored one's version is the digest of its sealed record."""
    sealed = [
        f"{credential.as_field or name}@{hashlib.sha256(record.encode()).hexdigest()[:16]}"
        for name, record in credential.sealed.items()
    ]
    return sorted(sealed + [_versioned(name, secret.reveal()) for name, secret in credential.literal.items()])


def _versioned(name: str, value: Any) -> str:
    """Return ``name@version``. Keyed with the deployment's own key, so that nobody finds a short secret by trying."""
    text = value if isinstance(value, str) else write_json(value)
    octets = text.encode("utf-8", "surrogatepass")
    return f"{name}@{salted_hmac('executions.approving', octets, algorithm='sha256').hexdigest()[:16]}"
