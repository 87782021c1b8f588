"""A step that holds commands for machines and for people is carried out in phases (CACAO.md D16, D19).

A phase is a run of neighbouring commands of one kind. How many commands are done stands in the step run's note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from playbooks.cacao.types import Command, Question, QuestionKind, Step

DONE: Final = "commands_done"
ANSWERS: Final = "answers"


def is_mixed(step: Step) -> bool:
    """True when a person carries out some of the commands and a machine the others."""
    return step.question is None and any(command.for_people for command in step.commands)


def phase(step: Step, note: Mapping[str, Any]) -> range:
    """Return the indexes of the commands that are next; all of them in a step of one kind. A person is asked one at a
    time."""
    if not is_mixed(step):
        return range(len(step.commands))
    done = int(note.get(DONE, 0))
    if step.commands[done].for_people:
        return range(done, done + 1)
    end = done
    while end < len(step.commands) and not step.commands[end].for_people:
        end += 1
    return range(done, end)


def person_next(step: Step, note: Mapping[str, Any]) -> Command | None:
    """Return the command that a person is to carry out now, None when it is a machine's turn."""
    if not is_mixed(step):
        return None
    command = step.commands[phase(step, note).start]
    return command if command.for_people else None


def question_of(command: Command) -> Question:
    return Question(QuestionKind.INPUT, command.text or "")


def is_last(step: Step, note: Mapping[str, Any]) -> bool:
    return phase(step, note).stop >= len(step.commands)
