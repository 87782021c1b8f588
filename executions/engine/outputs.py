"""How the output of a completed step reaches variables (CACAO.md 12.10, D26, D27)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from core import strict_json
from executions.engine.apart import whole
from playbooks.cacao.types import OutputMapping, Step, Value, Variable
from playbooks.cacao.values import convert, meant_type, text_of

#: Returns the declaration and the present value of a name (an Apart where it is stored apart), None where nothing has
#: that name.
Lookup = Callable[[str], tuple[Variable, Any] | None]

RESERVED_PREFIX: Final = "__sallyport_"

#: Names that get the whole output, whatever it is.
OUTPUT_NAMES: Final = frozenset(
    {
        "__result__",
        "__soarca_ssh_result__",
        "__soarca_http_api_result__",
        "__soarca_openc2_http_result__",
        "__soarca_powershell_result__",
        "__soarca_caldera_cmd_result__",
        "__soarca_manual_result__",
    }
)
#: Names that get something beside the output.
_BESIDE: Final[Mapping[str, str]] = {
    "__stderr__": "stderr",
    "__soarca_powershell_error__": "stderr",
    "__exit_code__": "exit_code",
    "__http_status__": "status",
}
_LINE = re.compile(r"^soarca:(__[A-Za-z][A-Za-z0-9_.-]*__)=(.*?)\r?$", re.MULTILINE)
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_ABSENT: Final = object()


class OutputInvalid(Exception):
    """An output does not fit its variable, or a mapping finds nothing. Nothing is written (D26)."""

    reason = "output_invalid"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True)
class Written:
    """What a step writes: name -> value in the form of its type, and the out-args that had no source."""

    values: Mapping[str, Value]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Output:
    """What the last command gave back. ``output`` is text, or the JSON value of an operation."""

    output: Any
    stderr: str | None
    exit_code: int | None
    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def whole(self) -> Any:
        """The output, as text without one trailing line break."""
        return _trimmed(self.output)

    @cached_property
    def json(self) -> Any:
        return _json_of(self.whole)

    @cached_property
    def lines(self) -> Mapping[str, str]:
        """Values of the lines ``soarca:__name__=value``; the last line of a name counts."""
        return dict(_LINE.findall(self.whole)) if isinstance(self.whole, str) else {}

    def of(self, source: str) -> Any:
        """Return what a mapping's ``from`` names, _ABSENT where the step gave no such thing."""
        if source.startswith("header:"):
            wanted = source.removeprefix("header:").strip().lower()
            return next((value for name, value in self.headers.items() if name.lower() == wanted), _ABSENT)
        found = {"output": self.whole, "stderr": _trimmed(self.stderr)}.get(source)
        if source in ("exit_code", "status"):
            found = self.exit_code if source == "exit_code" else self.status
        return _ABSENT if found is None else found


def variables_from(
    step: Step,
    lookup: Lookup,
    *,
    output: Any,
    stderr: str | None = None,
    exit_code: int | None = None,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Written:
    """Return what ``step`` writes after it has completed, all of it converted (D26).

    ``output`` None: the step gave no output. Mappings write their variable, listed in ``out_args`` or not.

    Raises OutputInvalid: a value of the wrong type, a mapping that finds nothing or is not read, a constant, reserved
    or undeclared name. Raises Damaged where a mapping reads what is stored apart and cannot be read.
    """
    given = _Output(output, stderr, exit_code, status, headers or {})
    values: dict[str, Value] = {}
    missing: list[str] = []
    for mapping in step.outputs:
        variable = _writable(mapping.name, lookup)
        values[mapping.name] = _converted(_mapped(mapping, given, lookup), variable)
    for name in step.out_args:
        if name in values:
            continue
        variable = _writable(name, lookup)
        found = _unmapped(name, given, is_only=len(step.out_args) == 1)
        if found is _ABSENT:
            missing.append(name)
        else:
            values[name] = _converted(found, variable)
    return Written(values, tuple(missing))


def _mapped(mapping: OutputMapping, given: _Output, lookup: Lookup) -> Any:
    if not mapping.supported:
        raise OutputInvalid(mapping.name, "The expression of its assignment is not read; paths such as .a.b[0] are.")
    source = mapping.variable or mapping.source
    value = _value_of(mapping.variable, lookup) if mapping.variable is not None else given.of(mapping.source)
    if value is _ABSENT:
        raise OutputInvalid(mapping.name, f"{source} has no value that could be taken over.")
    if not mapping.path:
        return value
    json = given.json if mapping.variable is None and mapping.source == "output" else _json_of(value)
    if json is _ABSENT:
        raise OutputInvalid(mapping.name, f"{source} is not JSON, so nothing can be taken out of it.")
    value = _at(json, mapping.path)
    if value is _ABSENT:
        raise OutputInvalid(mapping.name, f"{source} has nothing at {_written(mapping.path)}.")
    return value


def _value_of(variable: str, lookup: Lookup) -> Any:
    found = lookup(variable)
    return _ABSENT if found is None or found[1] is None else whole(found[1])


def _unmapped(name: str, given: _Output, *, is_only: bool) -> Any:
    """Return the value of an out-arg without mapping from the first source that has it, else _ABSENT."""
    if name in OUTPUT_NAMES and given.whole is not None:
        return given.whole
    if name in _BESIDE and (beside := given.of(_BESIDE[name])) is not _ABSENT:
        return beside
    if isinstance(given.json, dict):
        for member in (name, name.removeprefix("__").removesuffix("__")):
            if member in given.json:
                return given.json[member]
    if name in given.lines:
        return given.lines[name]
    if is_only and name not in _BESIDE and given.whole is not None:
        return given.whole
    return _ABSENT


def _writable(name: str, lookup: Lookup) -> Variable:
    found = lookup(name)
    if found is None or name.startswith(RESERVED_PREFIX):
        raise OutputInvalid(name, "No variable of this name can be written here.")
    if found[0].constant:
        raise OutputInvalid(name, "A constant is never written.")
    return found[0]


def _converted(value: Any, variable: Variable) -> Value:
    if isinstance(value, dict | list) and meant_type(variable.type) == "string":
        value = text_of(value)
    try:
        return convert(value, variable.type)
    except ValueError as error:
        raise OutputInvalid(variable.name, str(error)) from None


def _trimmed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value[:-2] if value.endswith("\r\n") else value.removesuffix("\n")


def _json_of(value: Any) -> Any:
    """Return ``value`` as JSON, _ABSENT where it is text that is none."""
    if not isinstance(value, str):
        return value
    try:
        return strict_json.loads(value.encode("utf-8"))
    except (strict_json.JsonInvalid, UnicodeEncodeError):
        return _ABSENT


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Follow a path. An index may be text (JSON Pointer) or a number, from the end when negative (jq)."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list) and (isinstance(step, int) or _INDEX.fullmatch(step)):
            at = int(step)
            value = value[at] if -len(value) <= at < len(value) else _ABSENT
        else:
            return _ABSENT
    return value


def _written(path: tuple[str | int, ...]) -> str:
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
