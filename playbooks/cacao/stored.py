"""Turns a compiled workflow into plain JSON and back, exactly.

Driven by the types of the fields in `playbooks.cacao.types`, so a new field needs nothing here. A field that has its
default is left out. U+0000, which no jsonb holds, is written as an escape.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from playbooks.cacao.types import Workflow

_Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]

_MICROSECOND: Final = timedelta(microseconds=1)
_ESCAPE: Final = "\x1a"


def to_json(workflow: Workflow) -> dict[str, Any]:
    """Return ``workflow`` as plain JSON values, which `from_json` reads back to an equal workflow."""
    encoded: dict[str, Any] = _codec(Workflow)[0](workflow)
    escaped: dict[str, Any] = _map_texts(encoded, _escaped) if _needs_escape(encoded) else encoded
    return escaped


def from_json(given: Mapping[str, Any]) -> Workflow:
    """Return the workflow that `to_json` wrote."""
    plain = _map_texts(dict(given), _unescaped) if _needs_escape(given) else given
    workflow: Workflow = _codec(Workflow)[1](plain)
    return workflow


@cache
def _codec(kind: Any) -> _Codec:
    """Return how values of one type are written and read."""
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_codec(kind)
    if kind is timedelta:
        return (lambda value: value // _MICROSECOND), (lambda value: timedelta(microseconds=value))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return (lambda value: value.value), kind
    if origin is tuple:
        return _sequence_codec(arguments[0], tuple, ordered=True)
    if origin is frozenset:
        return _sequence_codec(arguments[0], frozenset, ordered=False)
    if origin is not None and _is_class_below(origin, Mapping):
        return _mapping_codec(arguments[1])
    if origin in (Union, types.UnionType):
        return _optional_codec([argument for argument in arguments if argument is not type(None)])
    return _same, _same


def _is_class_below(kind: Any, parent: type) -> bool:
    """Return whether ``kind`` is a class below ``parent``; a special form of typing is none."""
    return isinstance(kind, type) and issubclass(kind, parent)


def _same(value: Any) -> Any:
    return value


def _dataclass_codec(kind: type) -> _Codec:
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    codecs: dict[str, _Codec] = {}

    def codec(name: str) -> _Codec:
        # Looked up late, for a type may hold itself.
        if name not in codecs:
            codecs[name] = _codec(hints[name])
        return codecs[name]

    def write(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in fields.items():
            item = getattr(value, name)
            if not _is_default(item, field):
                found[name] = None if item is None else codec(name)[0](item)
        return found

    def read(given: Mapping[str, Any]) -> Any:
        return kind(**{name: None if item is None else codec(name)[1](item) for name, item in given.items()})

    return write, read


def _is_default(item: Any, field: dataclasses.Field[Any]) -> bool:
    if field.default is not dataclasses.MISSING:
        return type(item) is type(field.default) and bool(item == field.default)
    return field.default_factory is not dataclasses.MISSING and not item


def _sequence_codec(inner: Any, make: Callable[[Any], Any], *, ordered: bool) -> _Codec:
    write, read = _codec(inner)

    def write_all(values: Any) -> list[Any]:
        return [write(value) for value in (values if ordered else sorted(values))]

    return write_all, (lambda given: make(read(item) for item in given))


def _mapping_codec(inner: Any) -> _Codec:
    write, read = _codec(inner)
    if write is _same:
        return dict, dict
    return (
        lambda value: {name: write(item) for name, item in value.items()},
        lambda given: {name: read(item) for name, item in given.items()},
    )


def _optional_codec(kinds: list[Any]) -> _Codec:
    """One type or None is that type's; a union of plain JSON types is written as it is."""
    return _codec(kinds[0]) if len(kinds) == 1 else (_same, _same)


# -- U+0000


def _needs_escape(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item or _ESCAPE in item:
                return True
        elif isinstance(item, Mapping):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
    return False


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return ``value`` with every text changed, names included; as deep as JSON is read at most."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(name): _map_texts(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_texts(item, change) for item in value]
    return value


def _escaped(text: str) -> str:
    return text.replace(_ESCAPE, f"{_ESCAPE}1").replace("\x00", f"{_ESCAPE}0")


def _unescaped(text: str) -> str:
    return text.replace(f"{_ESCAPE}0", "\x00").replace(f"{_ESCAPE}1", _ESCAPE) if _ESCAPE in text else text
