"""Reads declared variables.

Source: CACAO.md 9 (D21, D22, D24, D25) and the ``variable-...`` codes of 13.3.
"""

from __future__ import annotations

from typing import Any

from core import strict_json
from playbooks.cacao import references, shapes, values, vocabularies
from playbooks.cacao.findings import below
from playbooks.cacao.inspection import inspect
from playbooks.cacao.reading import Json, Reading, kind_of
from playbooks.cacao.types import Value, Variable


def read_variables(owner: Json, name: str, at: str, reading: Reading) -> dict[str, Variable]:
    """Read the dictionary ``name`` of a playbook or a step; ``step_variables`` are never external."""
    declared = reading.dictionary(owner, name, at)
    in_step = name == "step_variables"
    return {
        variable: _read(variable, given, below(at, name, variable), reading, in_step=in_step)
        for variable, given in declared.items()
    }


def _read(name: str, given: Json, at: str, reading: Reading, *, in_step: bool) -> Variable:
    report = reading.report
    _check_name(name, at, reading)
    inspect(given, shapes.VARIABLE, at, report, skip=("value",))
    kind = reading.text(given, "type", at)
    if given.get("type") is None:
        report.relax("schema", below(at, "type"), "A variable needs a `type`.", "a string")
    elif kind is not None and not values.known_type(kind):
        read_as = values.meant_type(kind)
        message = f"`{kind[:100]}` is no variable type of CACAO; it is read as {read_as}."
        report.warn("variable-type-unknown", below(at, "type"), message, read_as)
    description = given.get("description")
    if description is not None and not isinstance(description, str):
        report.relax("schema", below(at, "description"), "A description is text.", "kept as it is")
    external = reading.flag(given, "external", at)
    if external and in_step:
        message = "Only variables of the playbook are external; here it means nothing."
        report.warn("external-in-step", below(at, "external"), message)
    return Variable(
        name=name,
        type=kind or "string",
        value=_value(given.get("value"), kind or "string", below(at, "value"), reading),
        constant=reading.flag(given, "constant", at),
        external=external and not in_step,
        description=description if isinstance(description, str) else "",
    )


def _check_name(name: str, at: str, reading: Reading) -> None:
    if name.startswith(vocabularies.RESERVED_PREFIX):
        message = f"`{name[:100]}` begins with {vocabularies.RESERVED_PREFIX}; such names belong to Sallyport."
        reading.report.refuse("variable-reserved", at, message)
    elif not references.is_regular(name):
        message = (
            "A variable's name is `__`, a letter, then letters, digits, `_` and `-`, then `__`; at most 250 in all."
        )
        reading.report.relax("variable-name", at, message, "that name, exactly as written")


def _value(given: Any, kind: str, at: str, reading: Reading) -> Value:
    """Return the declared value in the text form of its type; text that is not of its type stays as it is."""
    if isinstance(given, bool | int | float | list):
        message = f"A value is text, null or an object; here is {kind_of(given)}."
        reading.report.relax("variable-value", at, message, "its JSON text")
    if given == "":
        return ""
    try:
        return values.convert(given, kind)
    except ValueError as error:
        reading.report.warn("variable-value-type", at, f"The value is not of its type, {kind[:100]}. {error}")
    if isinstance(given, str | dict):
        return given
    return strict_json.dumps(given).decode()
