"""Finds values from outside in shell commands, where no quoting makes every one of them safe.

A value that can be quoted for its place, or whose type holds no character that means anything, is no risk: it reaches
the program as one word. What is found here fails at run time with ``unsafe_placeholder``, before anything is sent.

Source: SECURITY.md 4, SEC-11; CACAO.md 12.11 (D29), 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from core import quoting
from core.quoting.places import Place
from playbooks.cacao.check_effects import SHELLS
from playbooks.cacao.check_findings import quoted
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_uses import Piece, Text, Where
from playbooks.cacao.types import Step
from playbooks.cacao.values import STRICT_TYPES, meant_type, text_of

_DIALECTS: Final[Mapping[str, str]] = MappingProxyType({"ssh": "sh", "bash": "bash", "powershell": "powershell"})
_STRICT: Final = STRICT_TYPES | {"float"}
#: What one command may hold to be looked at, and what all together may cost, in characters times values: reading a
#: command takes longer the more values it has.
_MAX_LENGTH: Final = 64 * 1024
_MAX_VALUES: Final = 300
_MAX_COST: Final = 5_000_000

_WAY_OUT: Final = (
    "Pass it by environment variable or standard input, quote it as a word of its own, give the variable a strict type "
    "such as ipv4-addr, or make it a constant with a value."
)


@dataclass(frozen=True)
class _Part:
    """A piece of a command, as the quoting of commands reads it."""

    text: str
    trust: str = "author"
    type: str = "string"
    name: str = ""


def check_injection(model: Model) -> None:
    left = _MAX_COST
    for step in model.workflow.steps.values():
        for text in model.uses.texts[step.id]:
            if text.where is not Where.COMMAND or text.command.type not in SHELLS or text.command.for_people:
                continue
            outside = _outside(model, step, text)
            if not outside:
                continue
            own = _author_values(model, step, text)
            left -= (len(text.text) + sum(map(len, own.values()))) * len(text.pieces)
            is_readable = left > 0 and _is_readable(text)
            risks = list(_risks(text, outside, own)) if is_readable else _unread(text)
            if risks:
                message = f"{' '.join(dict.fromkeys(risks))} {_WAY_OUT}"
                model.findings.add("injection-risk", text.at, message)


def _is_readable(text: Text) -> bool:
    return len(text.text) <= _MAX_LENGTH and len(text.pieces) <= 2 * _MAX_VALUES and not text.is_encoded


def _unread(text: Text) -> list[str]:
    if text.is_encoded:
        return ["A value from outside stands in base64, where nobody sees what it does to the command."]
    return ["The command is too long to say where its values from outside stand."]


def _outside(model: Model, step: Step, text: Text) -> dict[str, str]:
    """Return the variables of a text whose value may come from outside (SEC-11), with their types.

    A name that nothing declares has no value, and the step fails before it is placed anywhere.
    """
    found: dict[str, str] = {}
    for name in text.names:
        kinds = {meant_type(one.type) for _, one in model.meant(name, step) if not one.is_author_text}
        if kinds:
            found[name] = kinds.pop() if len(kinds) == 1 else "string"
    return found


def _author_values(model: Model, step: Step, text: Text) -> dict[str, str]:
    """Return the constants of a text, which are inserted as they are (D29)."""
    found: dict[str, str] = {}
    for name in text.names:
        for _, variable in model.meant(name, step):
            if variable.is_author_text:
                found[name] = text_of(variable.value)
    return found


def _part(piece: Piece, outside: Mapping[str, str], own: Mapping[str, str]) -> _Part:
    if isinstance(piece, str):
        return _Part(piece)
    if piece.name in outside:
        return _Part("x", "outside", outside[piece.name], piece.name)
    return _Part(own.get(piece.name, "x"))


def _takes_number(place: Place, part: quoting.TextPart) -> bool:
    return part.type in ("integer", "long") and place.safe is not None and place.safe.fullmatch("1") is not None


def _risks(text: Text, outside: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each place that does not take every value of its variable."""
    parts = [_part(piece, outside, own) for piece in text.pieces]
    places: dict[str, list[str]] = {}
    for part, place in quoting.places(parts, _DIALECTS[text.command.type]):
        if not (place.takes_anything or (place.strict and part.type in _STRICT) or _takes_number(place, part)):
            places.setdefault(place.name, []).append(part.name)
    for name, variables in places.items():
        shown = ", ".join(dict.fromkeys(quoted(variable) for variable in variables))
        yield f"The value of {shown} comes from outside and stands {name}, where no quoting is safe."
