"""Words, commands and frames: what a reader of sh and bash has in hand at any moment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from core.quoting.programs import LOOSE, UNKNOWN, evaluates, reads_code, runs_what_it_reads

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=")
#: frames that hold commands; the others hold text
COMMANDS: Final = frozenset({"command", "subshell", "substitution", "backtick"})
_GOES_ON: Final = frozenset({"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time"})
_UNKNOWN_FROM: Final = frozenset({"case", "esac", "function", "select", "coproc"})
_WITHOUT_WORDS: Final = frozenset({"arithmetic", "parameter", "heredoc", "comment"})


@dataclass
class Command:
    """A simple command so far: finished words without assignments and redirections, and the word being read."""

    words: list[str] = field(default_factory=list)
    word: list[str] | None = None
    is_quoted: bool = False
    braces: int = 0
    redirect: str = ""

    @property
    def prefix(self) -> str:
        return "".join(self.word or ())


@dataclass
class Frame:
    kind: str
    command: Command = field(default_factory=Command)
    depth: int = 0
    text: str = ""  # parameter: what was read of it; heredoc: the line so far
    delimiter: str = ""
    expands: bool = False
    strips_tabs: bool = False
    tests: bool = False  # between [[ and ]], where operands may be evaluated as arithmetic


@dataclass(frozen=True)
class HereDocument:
    delimiter: str
    expands: bool
    strips_tabs: bool


class PosixWords:
    """The stack of frames, outermost first, and the command in each."""

    def __init__(self) -> None:
        self._frames = [Frame("command")]
        self._pending: list[HereDocument] = []
        self._lost = ""  # why the structure is not known from here on
        self._has_typed_variables = False
        self._is_piped = False
        self._hands_over = False

    @property
    def _command(self) -> Command:
        return self._command_frame.command

    @property
    def _command_frame(self) -> Frame:
        return next(frame for frame in reversed(self._frames) if frame.kind in COMMANDS)

    def _push(self, kind: str) -> None:
        if kind not in ("substitution", "backtick"):
            self._command.is_quoted = True
        self._add("")
        self._frames.append(Frame(kind))

    def _add(self, text: str) -> None:
        """Add to the word being read; inside expansions and here-documents there is none."""
        if {frame.kind for frame in self._frames} & _WITHOUT_WORDS:
            return
        command = self._command
        if command.word is None:
            command.word = []
        command.word.append(text)

    def _add_unknown(self) -> None:
        self._add(LOOSE if self._frames[-1].kind in COMMANDS else UNKNOWN)

    def _end_word(self) -> None:
        command = self._command
        if command.word is None:
            return
        word, is_quoted = command.prefix, command.is_quoted
        command.word, command.is_quoted, command.braces = None, False, 0
        if command.redirect:
            self._end_redirect(command, word, is_quoted)
        elif command.words or is_quoted or not self._is_reserved(word):
            if not command.words and ASSIGNED.match(word):
                return
            command.words.append(word)
            if not is_quoted and word in ("[[", "]]"):
                self._command_frame.tests = word == "[["
            if command.words[0] in ("declare", "typeset", "local", "readonly", "export") and word.startswith("-"):
                self._has_typed_variables = True

    def _is_reserved(self, word: str) -> bool:
        if word in _UNKNOWN_FROM:
            self._lost = f"behind the word {word}"
        return word in _GOES_ON or word in _UNKNOWN_FROM

    def _end_redirect(self, command: Command, word: str, is_quoted: bool) -> None:
        operator, command.redirect = command.redirect, ""
        if operator in ("<<", "<<-"):
            if {UNKNOWN, LOOSE} & set(word) or not word or reads_code(command.words):
                self._lost = "in a here-document"
            self._pending.append(HereDocument(word, not is_quoted, operator == "<<-"))

    def _end_command(self) -> None:
        self._end_word()
        words = self._command.words
        if words and (evaluates(words) or (self._is_piped and runs_what_it_reads(words))):
            self._hands_over = True
        self._command_frame.command = Command()

    def _begin_here_documents(self) -> None:
        if not self._pending:
            return
        document = self._pending.pop(0)
        self._frames.append(
            Frame(
                "heredoc",
                delimiter=document.delimiter,
                expands=document.expands,
                strips_tabs=document.strips_tabs,
            )
        )
