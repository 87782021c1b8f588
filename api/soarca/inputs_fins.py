"""What fins and their operators send over HTTP. Shapes only; services check meaning.

Clients send null for what they leave out, and fields of later versions: null is absence, unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.soarca.inputs import InputInvalid
from connectors.fin.services import Capability
from connectors.keys import Pair
from core.errors import FieldError
from executions.services.fin_jobs import Report

LONGEST_KEY: Final = 200
_STATES: Final = {"success": True, "failure": False}


def read_registration(body: Mapping[str, Any]) -> tuple[str, str, str, list[Capability]]:
    """Return registration token, display name, protocol version and capabilities. Raises InputInvalid."""
    token = _text(body, "registration_token", most=4_096)
    if not token:
        raise _invalid("registration_token", "is missing")
    given = body.get("capabilities")
    if not isinstance(given, list) or not given:
        raise _invalid("capabilities", "must be a list of one capability or more")
    if len(given) > 1_000:
        raise _invalid("capabilities", "are more than 1,000")
    capabilities = [_capability(each, f"capabilities[{index}]") for index, each in enumerate(given)]
    name, version = _text(body, "display_name", most=200), _text(body, "protocol_version", most=64)
    return token, name, version, capabilities


def _capability(given: object, path: str) -> Capability:
    if not isinstance(given, Mapping):
        raise _invalid(path, "must be an object")
    kind = _text(given, "type", at=path, most=LONGEST_KEY)
    if not kind.strip() or not kind.isprintable():
        raise _invalid(f"{path}.type", "must not be empty")
    examples = given.get("step_examples")
    if examples is not None and not isinstance(examples, list):
        raise _invalid(f"{path}.step_examples", "must be a list")
    told = {
        "description": given.get("description") and _text(given, "description", at=path, most=4_000),
        "version": given.get("version") and _text(given, "version", at=path, most=200),
        "step_examples": examples,
    }
    return Capability(key=kind, given=told)


def check_poll(body: Mapping[str, Any]) -> None:
    """Raises InputInvalid."""
    free = body.get("concurrency_available")
    if free is not None and (isinstance(free, bool) or not isinstance(free, int)):
        raise _invalid("concurrency_available", "must be a whole number")


def read_progress(body: Mapping[str, Any]) -> str | None:
    return _text(body, "progress", most=None)[:500] if body.get("progress") is not None else None


def read_report(body: Mapping[str, Any]) -> Report:
    """Read the result of a job: one failed target fails it, and the values of the others are kept.

    Raises InputInvalid.
    """
    success = _state(body, "state")
    values = _values(body, "variables")
    errors = [_text(body, "error", most=None)]
    targets = body.get("target_results")
    if targets is not None and not isinstance(targets, list):
        raise _invalid("target_results", "must be a list")
    for index, given in enumerate(targets or ()):
        path = f"target_results[{index}]"
        if not isinstance(given, Mapping):
            raise _invalid(path, "must be an object")
        for name in ("target_index", "failed_command_index"):
            number = given.get(name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
                raise _invalid(f"{path}.{name}", "must be a whole number")
        is_good = _state(given, "state", at=path)
        own = _values(given, "variables", at=path)
        errors.append("" if is_good else _text(given, "error", at=path, most=None))
        values = {**own, **values} if is_good else values
        success = success and is_good
    return Report(success, values, next(filter(None, errors), "")[:4_000])


def read_key(body: Mapping[str, Any]) -> Pair:
    """Read an SSH key pair. Raises InputInvalid."""
    for name in body:
        if name not in ("public", "private", "passphrase"):
            raise _invalid(name[:100], "is not a field of this call")
    pair = Pair(*(_text(body, name, most=None) for name in ("public", "private", "passphrase")))
    for name, text in (("public", pair.public), ("private", pair.private)):
        if not text.strip():
            raise _invalid(name, "is missing")
    return pair


def _state(given: Mapping[str, Any], name: str, *, at: str = "") -> bool:
    state = given.get(name)
    if not isinstance(state, str) or state not in _STATES:
        raise _invalid(f"{at}.{name}" if at else name, "must be success or failure")
    return _STATES[state]


def _values(given: Mapping[str, Any], name: str, *, at: str = "") -> dict[str, str | None]:
    """Variables as name -> {value}: the values, text or null."""
    path = f"{at}.{name}" if at else name
    variables = given.get(name)
    if variables is None:
        return {}
    if not isinstance(variables, Mapping):
        raise _invalid(path, "must be an object of variables")
    values: dict[str, str | None] = {}
    for key, variable in variables.items():
        value = variable.get("value") if isinstance(variable, Mapping) else variable
        if not isinstance(variable, Mapping) or not (value is None or isinstance(value, str)):
            raise _invalid(f"{path}.{key[:100]}", "must be an object whose value is text or null")
        values[key] = value
    return values


def _text(given: Mapping[str, Any], name: str, *, most: int | None, at: str = "") -> str:
    """Return a text, "" for null and absence."""
    value = given.get(name)
    path = f"{at}.{name}" if at else name
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(path, "must be text")
    if most is not None and len(value) > most:
        raise _invalid(path, f"has more than {most} characters")
    return value


def _invalid(path: str, why: str) -> InputInvalid:
    message = f"{path} {why}."
    return InputInvalid(message, fields=[FieldError(path=path, message=message)])
