"""Turns what no machine can do into questions to people.

Source: CACAO.md 7 (D16), 12.8 (D18).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from playbooks.cacao.types import Command, Question, QuestionKind

#: offered beside the keys of a switch that has no default
NONE_OF_THESE: Final = "none of these"
DEFAULT_CASE: Final = "default"


def ask_for_decision(condition: str | None, name: str, description: str) -> Question:
    """Ask yes or no where a condition is prose, or none is there."""
    text = _joined([condition]) or _joined([name, description])
    return Question(QuestionKind.DECISION, text, is_literal=True)


def ask_for_case(switch: str | None, name: str, description: str, cases: Iterable[str]) -> Question:
    """Ask which case holds where a switch names no variable."""
    keys = tuple(cases)
    choices = keys if DEFAULT_CASE in keys else (*keys, NONE_OF_THESE)
    text = _joined([switch]) or _joined([name, description])
    return Question(QuestionKind.CHOICE, text, choices=choices, is_literal=True)


def ask_for_work(commands: Sequence[Command], name: str, description: str) -> Question | None:
    """Ask people to carry out a step, where all of its commands are for people; else None.

    The text is that of the commands; where they have none, the names and descriptions that are there.
    """
    if not all(command.for_people for command in commands):
        return None
    written = [part for command in commands for part in _shown(command)]
    if _joined(written):
        return Question(QuestionKind.INPUT, _joined(written))
    told = [name, description, *(command.description for command in commands)]
    return Question(QuestionKind.INPUT, _joined(told), is_literal=True)


def _shown(command: Command) -> list[str | None]:
    """Return the parts of one command as text to copy."""
    headers = [f"{name}: {value}" for name, values in command.headers.items() for value in values]
    return ["\n".join([command.text or "", *headers]), command.content]


def _joined(parts: Iterable[str | None]) -> str:
    return "\n\n".join(part for part in parts if part and part.strip())
