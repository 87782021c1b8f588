"""What is kept of an attempt's calls before they are made, so that a person can judge them if no answer comes.

It is stored with the intent, in the same UPDATE of the step run's row: a lost worker cannot be asked any more. Values
of secrets are masked three times: by the name they came under, by their own value in every encoding, by their form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from connectors import dispatch
from connectors.base import Part
from connectors.planning import Call, Plan, PlannedCall
from core.errors import DomainError
from core.secrets import MASK, Scrubber, Secret
from executions.preparing import is_secret, secret_names
from executions.rows import storable
from executions.services.claiming import Work
from playbooks.cacao.check_secrets import is_secret_header, says_secret, without_literals

#: name of the calls in the step run's note
INTENDED: Final = "intended"
#: characters of one text that are shown, and that are searched for secrets: one that begins in what is shown ends in it
SHOWN, SEARCHED = 2_000, 8_000
MOST_ITEMS, DEEPEST, MOST_CALLS, LARGEST = 50, 8, 20, 16_384
CUT: Final = "..."
#: name=value of a query or a form
_QUERY = re.compile(r"([?&]([^=&?\s]{1,100})=)([^&#\s]{1,4000})")


def calls_shown(work: Work, calls: Sequence[Call], plan: Plan) -> list[dict[str, Any]]:
    """Return one record a call: key, operation, connection, target, address, class and arguments without secrets."""
    try:
        scrubber = Scrubber([*dispatch.secrets_of(plan), *_given_as_secret(work)])
    except DomainError:
        scrubber = None  # what cannot be opened cannot be searched for, so no argument is shown
    names = secret_names(work.workflow)
    pairs = list(zip(calls, plan.calls, strict=False))[:MOST_CALLS]
    shown = [_shown(call, planned, scrubber, names) for call, planned in pairs]
    for record in shown:
        if len(json.dumps(shown, default=str)) <= LARGEST:
            break
        record["arguments"] = "too large to be kept"
    return shown


def _shown(call: Call, planned: PlannedCall, scrubber: Scrubber | None, names: frozenset[str]) -> dict[str, Any]:
    arguments: Any = "withheld: a secret of this call cannot be opened"
    if scrubber is not None:
        plain = _plain(dict(call.arguments), names, 0)
        arguments = _cut(_without_forms(scrubber.value(plain)))
    record = {
        "key": call.key,
        "operation": planned.spec.name,
        "connection": planned.connection.name if planned.connection else None,
        "target": call.target.name if call.target else planned.destination or None,
        "agent": call.agent.name if call.agent else None,
        "address": _address(planned),
        "effect_class": str(planned.effect),
        "arguments": arguments,
    }
    clean: dict[str, Any] = storable(record)
    return clean


def _address(planned: PlannedCall) -> str | None:
    """Scheme, host, port and base path of the first place; neither user nor query."""
    if not planned.endpoints or not planned.endpoints[0].url:
        return None
    parts = urlsplit(planned.endpoints[0].url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _given_as_secret(work: Work) -> Iterator[Secret | str]:
    """The values that the start gave under a name that says secret: an S4E template carries them without their name."""
    for group in ("variables", "parameters", "inputs", "overrides"):
        given = work.execution.inputs.get(group)
        for name, value in given.items() if isinstance(given, Mapping) else ():
            # A short one would be found everywhere, and hide everything that a person has to see.
            if isinstance(value, str) and len(value) >= 8 and says_secret(name, "string"):
                yield value


def _plain(value: Any, names: frozenset[str], depth: int) -> Any:
    """Return JSON values with texts long enough to be searched, and stars for what is a secret by its name."""
    if depth > DEEPEST:
        return CUT
    if _is_parts(value):
        return _joined(value, names)
    if isinstance(value, Mapping):
        return {
            str(name)[:SHOWN]: MASK
            if _says_secret(str(name)) and item not in (None, "")
            else _plain(item, names, depth + 1)
            for name, item in list(value.items())[:MOST_ITEMS]
        }
    if isinstance(value, list | tuple):
        return [_plain(item, names, depth + 1) for item in value[:MOST_ITEMS]]
    if isinstance(value, str):
        return value[:SEARCHED]
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:SEARCHED]


def _says_secret(name: str) -> bool:
    return is_secret_header(name) or says_secret(name, "string")


def _is_parts(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(part, Part) for part in value)


def _joined(parts: Sequence[Part], names: frozenset[str]) -> str:
    return "".join(MASK if is_secret(part.name, names) else part.text for part in parts)[:SEARCHED]


def _without_forms(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_forms(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_forms(item) for item in value]
    if not isinstance(value, str):
        return value
    return _QUERY.sub(_without_value, without_literals(value, mask=MASK))


def _without_value(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}" if _says_secret(match[2]) else match[0]


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value[:SHOWN] + CUT if isinstance(value, str) and len(value) > SHOWN else value
