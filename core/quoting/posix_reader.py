"""Reading the text of sh and bash, one handler a frame.

It follows quotes, expansions, substitutions, redirections, here-documents and simple commands. What it does not follow
(``case``, functions, arrays, ``((``) it calls unknown, from there to the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from core.quoting.posix_words import COMMANDS, NAME, Frame, PosixWords
from core.quoting.programs import UNKNOWN

_OPERATOR = re.compile(r"<<<|<<-|<<|<&|<>|<\(|>>|>&|>\||>\(|<|>")
_VARIABLE_AT_END = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*)?\Z")


class PosixReader(PosixWords):
    """Reads author text and values in turn."""

    def __init__(self, *, is_bash: bool) -> None:
        super().__init__()
        self._is_bash = is_bash
        self._behind = ""  # the text just read ends in: dollar, variable, backslash

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

    # One handler a frame; each returns the next offset

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
            self._is_piped = self._is_piped or (character == "|" and not text.startswith("||", at))
            if text.startswith(";;", at):
                self._lost = "in a case command"
        elif character == "(":
            self._open(text, at)
        elif character == ")":
            self._close()
        elif character == "#" and self._command.word is None:
            self._frames.append(Frame("comment"))
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
        if name := NAME.match(text, at + 1):
            self._add_unknown()
            self._behind = "variable" if name.end() == len(text) else ""
            return name.end()
        if following and following in "0123456789@*#?$!-":
            self._add_unknown()
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
            self._frames.append(Frame("subshell"))

    def _close(self) -> None:
        kind = self._frames[-1].kind
        if kind == "substitution":
            self._close_substitution()
        elif kind == "subshell":
            self._end_command()
            self._frames.pop()
            self._command.words.append("")
        else:
            self._lost = "behind a parenthesis that was not opened"

    def _close_substitution(self) -> None:
        self._end_command()
        self._frames.pop()
        self._add_unknown()

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
            self._add_unknown()
            return at + 2
        return at + 1

    def _in_parameter(self, text: str, at: int) -> int:
        character = text[at]
        if character == "}":
            self._end_parameter(self._frames.pop().text)
            return at + 1
        self._frames[-1].text += character
        if character == "$":
            return self._dollar(text, at, is_quoted=True)
        if character == '"':
            self._push("double")
        elif character in "'`\\":
            self._lost = "inside a parameter expansion"
        return at + 1

    def _end_parameter(self, text: str) -> None:
        self._add_unknown()
        is_bare = self._frames[-1].kind in COMMANDS
        if is_bare and not NAME.fullmatch(text) and (not self._command.words or re.search(r"\s", text)):
            self._lost = "behind an expansion that may be a command"

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


_HANDLERS: Final[dict[str, Callable[[PosixReader, str, int], int]]] = {
    **dict.fromkeys(COMMANDS, PosixReader._in_command),
    "single": PosixReader._in_single,
    "double": PosixReader._in_double,
    "ansi": PosixReader._in_ansi,
    "comment": PosixReader._in_comment,
    "arithmetic": PosixReader._in_arithmetic,
    "parameter": PosixReader._in_parameter,
    "heredoc": PosixReader._in_heredoc,
}
