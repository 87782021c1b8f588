"""What callers send: the answer to a manual step, and the variables of a start. Shapes only; services check meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from api.soarca import ids
from core.errors import FieldError, Invalid
from playbooks.cacao.values import SYNONYMS

#: Both generations of names, and `payload`, which only answers have, left out.
_PUT_FIELDS: Final = frozenset({"type", "response_status", "response_out_args"})
_POST_FIELDS: Final = _PUT_FIELDS | {
    "execution_id", "run_id", "playbook_id", "step_id", "step_run_id", "step_execution_id",
}  # fmt: skip
_SUCCESS: Final = {"success": True, "failure": False}


class InputInvalid(Invalid):
    """A field is missing, unknown or of the wrong shape; the message names it."""

    code = "input_invalid"


@dataclass(frozen=True)
class GivenVariable:
    """One variable as sent. ``type`` and ``value`` may be absent; has_value tells an absent value from null."""

    name: str
    type: str | None
    value: Any
    has_value: bool


@dataclass(frozen=True)
class ManualAnswer:
    success: bool
    variables: Mapping[str, GivenVariable]


@dataclass(frozen=True)
class ContinueInput:
    """The body of POST /manual/continue."""

    execution_id: UUID
    step_ref: str  # the step run's id when it was given: it is exact
    step_id: str | None
    playbook_id: str | None
    answer: ManualAnswer


def read_continue(body: Mapping[str, Any]) -> ContinueInput:
    """Read the body of POST /manual/continue. Raises InputInvalid, NotAnId."""
    _check_names(body, _POST_FIELDS)
    execution = _one_of(body, "execution_id", "run_id")
    step_run = _one_of(body, "step_run_id", "step_execution_id")
    step = _text(body, "step_id")
    if execution is None:
        raise _invalid("execution_id", "is missing")
    if step is None and step_run is None:
        raise _invalid("step_id", "is missing")
    return ContinueInput(
        execution_id=ids.execution_id(execution, field="execution_id"),
        step_ref=step_run or step or "",
        step_id=step,
        playbook_id=_text(body, "playbook_id"),
        answer=_read_answer(body),
    )


def read_put(body: Mapping[str, Any]) -> ManualAnswer:
    """Read the body of PUT /manual/{execution-id}/{step-id}. Raises InputInvalid."""
    _check_names(body, _PUT_FIELDS)
    return _read_answer(body)


def read_variables(value: object, *, field: str) -> dict[str, GivenVariable]:
    """Read a map of variables: name -> {value, type?, name?}; what else is in one is ignored. Raises InputInvalid."""
    if not isinstance(value, Mapping):
        raise _invalid(field, "must be an object of variables")
    return {name: _read_variable(name, variable) for name, variable in value.items()}


def read_start(body: object) -> dict[str, GivenVariable]:
    """Read the variables of a start: each has its type and a value. Raises InputInvalid."""
    variables = read_variables(body, field="the body")
    for variable in variables.values():
        if variable.type is None:
            raise _invalid(variable.name, "has no type")
        if variable.value is None:
            raise _invalid(variable.name, "has no value")
    return variables


def check_types(variables: Mapping[str, GivenVariable], types: Mapping[str, str]) -> None:
    """Refuse a variable whose ``type`` is given and is not the definition's; one without definition is let pass."""
    for variable in variables.values():
        expected = types.get(variable.name)
        if expected is not None and variable.type is not None and not _is_same_type(variable.type, expected):
            raise _invalid(variable.name, f"is of type {expected}, not {_short(variable.type)}")


def _is_same_type(given: str, expected: str) -> bool:
    return given == expected or SYNONYMS.get(given, given) == SYNONYMS.get(expected, expected)


def _read_answer(body: Mapping[str, Any]) -> ManualAnswer:
    _text(body, "type")
    status = body.get("response_status")
    if status is None:
        raise _invalid("response_status", "is missing: success or failure")
    if not isinstance(status, str) or status not in _SUCCESS:
        raise _invalid("response_status", "must be success or failure")
    # Clients written in Go send null for a map that was never made.
    given = body.get("response_out_args")
    variables = {} if given is None else read_variables(given, field="response_out_args")
    for variable in variables.values():
        if _SUCCESS[status] and not variable.has_value:
            raise _invalid(variable.name, "has no value")
    return ManualAnswer(success=_SUCCESS[status], variables=variables)


def _read_variable(key: str, given: object) -> GivenVariable:
    if not isinstance(given, Mapping):
        raise _invalid(key, "must be an object with a value")
    name, type_ = given.get("name"), given.get("type")
    if name is not None and name != key:
        shown = _short(name) if isinstance(name, str) else "no text"
        raise _invalid(key, f"holds another name ({shown}): the names differ")
    if type_ is not None and not isinstance(type_, str):
        raise _invalid(key, "has a type that is no text")
    return GivenVariable(name=key, type=type_, value=given.get("value"), has_value="value" in given)


def _check_names(body: Mapping[str, Any], allowed: frozenset[str]) -> None:
    for name in body:
        if name not in allowed:
            raise _invalid(name, "is not a field of this call")


def _one_of(body: Mapping[str, Any], *names: str) -> str | None:
    """Return the value given under one or several of ``names``, which are names of one thing."""
    found = {name: text for name in names if (text := _text(body, name)) is not None}
    if len({text.lower() for text in found.values()}) > 1:
        raise _invalid(" and ".join(found), "are two names of one thing and differ")
    return next(iter(found.values()), None)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(name, "must be text")
    return value


def _invalid(path: str, why: str) -> InputInvalid:
    shown = _short(path)
    message = f"{shown} {why}."
    return InputInvalid(message, fields=[FieldError(path=shown, message=message)])


def _short(text: str) -> str:
    return text if len(text) <= 260 else f"{text[:260]}..."
