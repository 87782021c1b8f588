"""A small lexer for sh and bash that says where a value would stand (SECURITY.md 4).

It follows quotes, expansions, substitutions, redirections, here-documents and simple commands. What it does not follow
(``case``, functions, arrays, ``((``) it calls unknown, from there to the end: only strict types stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.quoting.code import safe_words
from core.quoting.places import INTEGER, SAFE_WORD, Place
from core.quoting.programs import UNKNOWN, Argument, Reading, argument, is_plain_assignment, reads_code

_OPERATOR = re.compile(r"<<<|<<-|<<|<&|<>|<\(|>>|>&|>\||>\(|<|>")
_VARIABLE_AT_END = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*)?\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=")
_DATA: Final = Argument(Reading.DATA)
_GOES_ON: Final = frozenset({"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time"})
_UNKNOWN_FROM: Final = frozenset({"case", "esac", "function", "select", "coproc"})
_COMMANDS: Final = frozenset({"command", "subshell", "substitution", "backtick"})


@dataclass
class _Command:
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
class _Frame:
    kind: str
    command: _Command = field(default_factory=_Command)
    depth: int = 0
    text: str = ""  # parameter: what was read of it; heredoc: the line so far
    delimiter: str = ""
    expands: bool = False
    strips_tabs: bool = False
    tests: bool = False  # between [[ and ]], where operands may be evaluated as arithmetic


@dataclass(frozen=True)
class _HereDocument:
    delimiter: str
    expands: bool
    strips_tabs: bool


class PosixLexer:
    """Reads author text and values in turn; ``place`` says what the next value would meet."""

    def __init__(self, *, is_bash: bool) -> None:
        self._is_bash = is_bash
        self._frames = [_Frame("command")]
        self._pending: list[_HereDocument] = []
        self._lost = ""
        self._behind = ""  # the text just read ends in: dollar, variable, backslash
        self._has_typed_variables = False

    def read(self, text: str) -> None:
        """Take author text, all of it up to the next value."""
        at = 0
        while at < len(text) and not self._lost:
            self._behind = ""
            at = _HANDLERS[self._frames[-1].kind](self, text, at)
        if self._lost:
            self._behind = "dollar" if _VARIABLE_AT_END.search(text) else ""

    def insert(self, value: str) -> None:
        """Take a value that was put in at the place just asked for."""
        self._behind = ""
        top = self._frames[-1]
        if top.kind == "heredoc":
            top.text = (top.text + value).rpartition("\n")[2]
        elif top.kind == "parameter":
            top.text += value
        self._add(value)
        self._command.is_quoted = True

    def place(self, following: str) -> Place:
        """Say where a value would stand now; ``following`` is the author text behind it."""
        place = self._place(following)
        if self._behind == "dollar" or (self._behind == "variable" and place.raw):
            return Place("directly behind a '$' or a variable's name", strict=False)
        return place

    # Where a value stands

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

    def _place_in_expansion(self, top: _Frame, inside: set[str]) -> Place:
        if top.kind == "parameter" and not top.text:
            return Place("as the name of a variable", strict=False)
        name = "inside arithmetic" if "arithmetic" in inside else "inside a parameter expansion"
        return Place(name, safe=INTEGER, strict=False)

    def _place_in_command(self, top: _Frame, inside: set[str], following: str) -> Place:
        command = self._command
        if self._command_frame.tests and command.words:
            reading = _DATA
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

    def _place_as_data(self, top: _Frame, command: _Command, following: str) -> Place:
        name, encode = _QUOTING[top.kind if top.kind in _QUOTING else "command"]
        prefix = command.prefix
        is_bare = top.kind in _COMMANDS
        is_descriptor = is_bare and following[:1] in ("<", ">") and not prefix.strip("0123456789")
        return Place(
            name,
            safe=SAFE_WORD,
            encode=encode,
            raw=not (is_bare and (command.braces or is_descriptor or self._behind == "variable")),
            begins_word=not prefix.strip(UNKNOWN),
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
        inner.read(code.text.replace(UNKNOWN, "x"))
        there = inner.place(following)
        safe = safe_words(code.language, code.text) if there.safe is SAFE_WORD else there.safe
        return Place(name, safe=safe if there.raw else None, strict=there.strict and there.raw)

    def _read_redirect(self, command: _Command) -> Argument:
        if command.redirect in ("<<", "<<-") or (command.redirect == "<<<" and reads_code(command.words)):
            return Argument(Reading.CLOSED, "name")
        return Argument(Reading.OPTION if command.redirect.endswith("&") else Reading.DATA)

    def _read_first_word(self, command: _Command) -> Argument:
        prefix = command.prefix
        if not _ASSIGNED.match(prefix):
            return Argument(Reading.COMMAND)
        if not is_plain_assignment(prefix) or self._has_typed_variables:
            return Argument(Reading.CLOSED)
        return Argument(Reading.DATA)

    # Reading author text, one handler a frame; each returns the next offset

    def _in_command(self, text: str, at: int) -> int:
        character = text[at]
        if character in " \t":
            self._end_word()
        elif character == "\n":
            self._end_command()
            self._begin_here_documents()
        elif character in "'\"`$\\":
            return self._quote(text, at)
        elif character in "<>" or text.startswith("&>", at):
            return self._redirect(text, at)
        elif character in ";&|":
            self._end_command()
            if text.startswith(";;", at):
                self._lost = "in a case command"
        elif character == "(":
            self._open(text, at)
        elif character == ")":
            self._close()
        elif character == "#" and self._command.word is None:
            self._frames.append(_Frame("comment"))
        else:
            self._add(character)
            self._command.braces += (character == "{") - (character == "}" and self._command.braces > 0)
        return at + 1

    def _quote(self, text: str, at: int) -> int:
        character = text[at]
        if character == "\\":
            return self._escape(text, at)
        if character == "$":
            return self._dollar(text, at, is_quoted=False)
        if character == "`":
            return self._backtick(at)
        self._push("single" if character == "'" else "double")
        return at + 1

    def _escape(self, text: str, at: int) -> int:
        if any(frame.kind == "backtick" for frame in self._frames):
            self._lost = "behind a backslash inside back-ticks"
        elif at + 1 == len(text):
            self._behind = "backslash"
            self._add("")
        elif text[at + 1] != "\n":
            self._add(text[at + 1])
            self._command.is_quoted = True
        return at + 2

    def _backtick(self, at: int) -> int:
        if not any(frame.kind == "backtick" for frame in self._frames):
            self._push("backtick")
        elif self._frames[-1].kind == "backtick":
            self._close_substitution()
        else:
            self._lost = "in nested back-ticks"
        return at + 1

    def _dollar(self, text: str, at: int, *, is_quoted: bool) -> int:
        following = text[at + 1 : at + 2]
        if text.startswith("$((", at):
            self._push("arithmetic")
            return at + 3
        if following in ("(", "{") or (following in ("'", '"') and not is_quoted):
            self._push({"(": "substitution", "{": "parameter", "'": "ansi", '"': "double"}.get(following, ""))
            return at + 2
        if following == "[":
            self._lost = "inside arithmetic"
        if name := _NAME.match(text, at + 1):
            self._add(UNKNOWN)
            self._behind = "variable" if name.end() == len(text) else ""
            return name.end()
        if following and following in "0123456789@*#?$!-":
            self._add(UNKNOWN)
            return at + 2
        self._add("$")
        self._behind = "" if following else "dollar"
        return at + 1

    def _redirect(self, text: str, at: int) -> int:
        command = self._command
        if text[at] == "&":
            self._end_word()
            command.redirect = "&>"
            return at + (3 if text.startswith("&>>", at) else 2)
        if command.word and not command.is_quoted and command.prefix.isdigit():
            command.word = None
        self._end_word()
        operator = _OPERATOR.match(text, at)
        assert operator is not None
        if operator[0].endswith("("):
            self._push("substitution")
        else:
            command.redirect = operator[0]
        return operator.end()

    def _open(self, text: str, at: int) -> None:
        command = self._command
        if command.words or command.word is not None or command.redirect or text.startswith("((", at):
            self._lost = "in a function, an array, a pattern or arithmetic"
        else:
            self._frames.append(_Frame("subshell"))

    def _close(self) -> None:
        kind = self._frames[-1].kind
        if kind == "substitution":
            self._close_substitution()
        elif kind == "subshell":
            self._end_command()
            self._frames.pop()
            self._command.words.append(UNKNOWN)
        else:
            self._lost = "behind a parenthesis that was not opened"

    def _close_substitution(self) -> None:
        self._end_command()
        self._frames.pop()
        self._add(UNKNOWN)

    def _in_single(self, text: str, at: int) -> int:
        end = text.find("'", at)
        self._add(text[at : end if end >= 0 else len(text)])
        if end < 0:
            return len(text)
        self._frames.pop()
        return end + 1

    def _in_double(self, text: str, at: int) -> int:
        character = text[at]
        if character == '"':
            self._frames.pop()
        elif character == "$":
            return self._dollar(text, at, is_quoted=True)
        elif character == "`":
            return self._backtick(at)
        elif character == "\\":
            if text[at + 1 : at + 2] in tuple('$`"\\\n') or at + 1 == len(text):
                return self._escape(text, at)
            self._add(character)
        else:
            self._add(character)
        return at + 1

    def _in_ansi(self, text: str, at: int) -> int:
        if text[at] == "\\":
            if not self._is_bash or at + 1 == len(text):
                self._lost = "inside $''"
            self._add(UNKNOWN)
            return at + 2
        if text[at] == "'":
            self._frames.pop()
        else:
            self._add(text[at])
        return at + 1

    def _in_comment(self, text: str, at: int) -> int:
        end = text.find("\n", at)
        if end < 0:
            return len(text)
        self._frames.pop()
        return end

    def _in_arithmetic(self, text: str, at: int) -> int:
        frame, character = self._frames[-1], text[at]
        if character == "$":
            return self._dollar(text, at, is_quoted=True)
        if character in "'\"`\\":
            self._lost = "inside arithmetic"
        elif character == "(":
            frame.depth += 1
        elif character == ")" and frame.depth:
            frame.depth -= 1
        elif character == ")":
            if not text.startswith("))", at):
                self._lost = "inside a command substitution"
            self._frames.pop()
            self._add(UNKNOWN)
            return at + 2
        return at + 1

    def _in_parameter(self, text: str, at: int) -> int:
        character = text[at]
        if character == "}":
            self._frames.pop()
            self._add(UNKNOWN)
            return at + 1
        self._frames[-1].text += character
        if character == "$":
            return self._dollar(text, at, is_quoted=True)
        if character == '"':
            self._push("double")
        elif character in "'`\\":
            self._lost = "inside a parameter expansion"
        return at + 1

    def _in_heredoc(self, text: str, at: int) -> int:
        frame = self._frames[-1]
        end = text.find("\n", at)
        piece = text[at : end if end >= 0 else len(text)]
        frame.text += piece
        if frame.expands and ("`" in piece or "$(" in piece or "${" in piece or piece.endswith("\\")):
            self._lost = "in a here-document with substitutions"
        if end < 0:
            if frame.expands and _VARIABLE_AT_END.search(piece):
                self._behind = "dollar"
            return len(text)
        line = frame.text.lstrip("\t") if frame.strips_tabs else frame.text
        frame.text = ""
        if line == frame.delimiter:
            self._frames.pop()
            self._begin_here_documents()
        return end + 1

    # Words and commands

    @property
    def _command(self) -> _Command:
        return self._command_frame.command

    @property
    def _command_frame(self) -> _Frame:
        return next(frame for frame in reversed(self._frames) if frame.kind in _COMMANDS)

    def _push(self, kind: str) -> None:
        if kind not in ("substitution", "backtick"):
            self._command.is_quoted = True
        self._add("")
        self._frames.append(_Frame(kind))

    def _add(self, text: str) -> None:
        """Add to the word being read; inside expansions and here-documents there is none."""
        if {frame.kind for frame in self._frames} & {"arithmetic", "parameter", "heredoc", "comment"}:
            return
        command = self._command
        if command.word is None:
            command.word = []
        command.word.append(text)

    def _end_word(self) -> None:
        command = self._command
        if command.word is None:
            return
        word, is_quoted = command.prefix, command.is_quoted
        command.word, command.is_quoted, command.braces = None, False, 0
        if command.redirect:
            self._end_redirect(command, word, is_quoted)
        elif command.words or is_quoted or not self._is_reserved(word):
            if not command.words and _ASSIGNED.match(word):
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

    def _end_redirect(self, command: _Command, word: str, is_quoted: bool) -> None:
        operator, command.redirect = command.redirect, ""
        if operator in ("<<", "<<-"):
            if UNKNOWN in word or not word or reads_code(command.words):
                self._lost = "in a here-document"
            self._pending.append(_HereDocument(word, not is_quoted, operator == "<<-"))

    def _end_command(self) -> None:
        self._end_word()
        self._command_frame.command = _Command()

    def _begin_here_documents(self) -> None:
        if not self._pending:
            return
        document = self._pending.pop(0)
        self._frames.append(
            _Frame(
                "heredoc",
                delimiter=document.delimiter,
                expands=document.expands,
                strips_tabs=document.strips_tabs,
            )
        )


def _ends_here_document(frame: _Frame) -> Callable[[str], str]:
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
_HANDLERS: Final[dict[str, Callable[[PosixLexer, str, int], int]]] = {
    **dict.fromkeys(_COMMANDS, PosixLexer._in_command),
    "single": PosixLexer._in_single,
    "double": PosixLexer._in_double,
    "ansi": PosixLexer._in_ansi,
    "comment": PosixLexer._in_comment,
    "arithmetic": PosixLexer._in_arithmetic,
    "parameter": PosixLexer._in_parameter,
    "heredoc": PosixLexer._in_heredoc,
}
