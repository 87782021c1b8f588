"""Where a value would stand in a command of sh or bash, and how it is quoted there (SECURITY.md 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from core.quoting.code import safe_words
from core.quoting.places import INTEGER, SAFE_WORD, Place
from core.quoting.posix_reader import PosixReader
from core.quoting.posix_words import ASSIGNED, COMMANDS, Command, Frame
from core.quoting.programs import LOOSE, UNKNOWN, Argument, Reading, argument, is_plain_assignment, reads_code

_DATA: Final = Argument(Reading.DATA)


class PosixLexer(PosixReader):
    """A reader that says what the next value would meet."""

    def objection(self) -> str:
        """Say at the end why no value may stand in this script at all, or ""."""
        self._end_command()
        return "in a script that hands text to an interpreter" if self._hands_over else ""

    def place(self, following: str) -> Place:
        """Say where a value would stand now; ``following`` is the author text behind it."""
        place = self._place(following)
        if self._behind == "dollar" or (self._behind == "variable" and place.raw):
            return Place("directly behind a '$' or a variable's name", strict=False)
        return place

    def _place(self, following: str) -> Place:
        if self._lost:
            return Place(self._lost)
        top = self._frames[-1]
        inside = {frame.kind for frame in self._frames}
        if inside & {"arithmetic", "parameter"}:
            return self._place_in_expansion(top, inside)
        if top.kind == "heredoc":
            return Place("in a here-document", safe=SAFE_WORD, objection=_ends_here_document(top))
        if top.kind == "comment":
            return Place("in a comment", safe=SAFE_WORD)
        return self._place_in_command(top, inside, following)

    def _place_in_expansion(self, top: Frame, inside: set[str]) -> Place:
        if top.kind == "parameter" and re.fullmatch(r"[#!]?\w*", top.text):
            return Place("as the name of a variable", strict=False)
        name = "inside arithmetic" if "arithmetic" in inside else "inside a parameter expansion"
        return Place(name, safe=INTEGER, strict=False)

    def _place_in_command(self, top: Frame, inside: set[str], following: str) -> Place:
        command = self._command
        if command.redirect.endswith("&"):
            return Place("as a file descriptor", safe=INTEGER, strict=False)
        elif command.redirect:
            reading = self._read_redirect(command)
        elif not command.words:
            reading = self._read_first_word(command)
        elif command.words[0] == "for" and len(command.words) < 3:
            reading = Argument(Reading.CLOSED)
        else:
            reading = argument(command.words, command.prefix)
        if reading.reading is Reading.COMMAND:
            return Place("in command position", strict=False)
        if reading.reading is Reading.CLOSED:
            return Place("where a shell word decides what is run", strict=reading.language != "name")
        if reading.reading is Reading.CODE:
            return self._place_in_code(reading, following)
        if self._behind == "backslash":
            return Place("behind a backslash", safe=SAFE_WORD)
        if reading.reading is Reading.OPTION:
            return Place("where the program may read it as more than data", safe=SAFE_WORD)
        if self._command_frame.tests:
            return Place("inside [[ ]]", safe=SAFE_WORD)
        if inside & {"substitution", "backtick"}:
            return Place("inside a command substitution", safe=SAFE_WORD)
        if top.kind == "ansi":
            return Place("inside $''", safe=SAFE_WORD)
        return self._place_as_data(top, command, following)

    def _place_as_data(self, top: Frame, command: Command, following: str) -> Place:
        name, encode = _QUOTING[top.kind if top.kind in _QUOTING else "command"]
        prefix = command.prefix
        is_bare = top.kind in COMMANDS
        is_descriptor = is_bare and following[:1] in ("<", ">") and not prefix.strip("0123456789")
        return Place(
            name,
            safe=SAFE_WORD,
            encode=encode,
            raw=not (is_bare and (command.braces or is_descriptor or self._behind == "variable")),
            begins_word=not prefix.strip(UNKNOWN + LOOSE),
            after_dashes="--" in command.words,
            after_equals=prefix.endswith("=") or re.fullmatch("-[A-Za-z]", prefix) is not None,
        )

    def _place_in_code(self, code: Argument, following: str) -> Place:
        name = f"inside the text of another language ({code.language})"
        if self._behind:
            return Place(name)
        if code.language != "shell":
            return Place(name, safe=safe_words(code.language, code.text))
        inner = PosixLexer(is_bash=True)
        inner.read(code.text.replace(UNKNOWN, "x").replace(LOOSE, "x"))
        there = inner.place(following)
        safe = safe_words(code.language, code.text) if there.safe is SAFE_WORD else there.safe
        return Place(name, safe=safe if there.raw else None, strict=there.strict and there.raw)

    def _read_redirect(self, command: Command) -> Argument:
        if command.redirect in ("<<", "<<-") or (command.redirect == "<<<" and reads_code(command.words)):
            return Argument(Reading.CLOSED, "name")
        return _DATA

    def _read_first_word(self, command: Command) -> Argument:
        prefix = command.prefix
        if not ASSIGNED.match(prefix):
            return Argument(Reading.COMMAND)
        if not is_plain_assignment(prefix) or self._has_typed_variables:
            return Argument(Reading.CLOSED)
        return Argument(Reading.DATA)


def _ends_here_document(frame: Frame) -> Callable[[str], str]:
    def objection(value: str) -> str:
        line = (frame.text + value).rpartition("\n")[2]
        line = line.lstrip("\t") if frame.strips_tabs else line
        return "it could end the here-document" if frame.delimiter.startswith(line) else ""

    return objection


def _quoted(value: str) -> str:
    return "'" + _inside_single(value) + "'"


def _inside_single(value: str) -> str:
    return value.replace("'", "'\\''")


def _inside_double(value: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", value)


_QUOTING: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "command": ("as a word", _quoted),
    "single": ("inside single quotes", _inside_single),
    "double": ("inside double quotes", _inside_double),
}
