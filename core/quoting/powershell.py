"""A small lexer for PowerShell (SECURITY.md 4). What its table does not cover is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.quoting.places import SAFE_IN_POWERSHELL, SAFE_IN_TERSE_CODE, Place

#: PowerShell takes typographic quotes for plain ones
_SINGLE: Final = "'\u2018\u2019\u201a\u201b"
_DOUBLE: Final = '"\u201c\u201d\u201e'
_VARIABLE_AT_END = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*(?::[A-Za-z0-9_]*)?)?\Z")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*(?::[A-Za-z_][A-Za-z0-9_]*)?|[$?^_]|[0-9]+)")
_CMDLET = re.compile(r"[A-Za-z]+-[A-Za-z]+")
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
#: cmdlets, programs and parameters that read text as code, as a query or as a filter
_EVALUATING: Final = frozenset(
    "iex invoke-expression invoke-command icm add-type new-object start-process saps start-job invoke-sqlcmd "
    "invoke-wmimethod invoke-cimmethod set-alias new-alias import-module ipmo set-psbreakpoint register-objectevent "
    "foreach-object where-object invoke-item ii cmd cmd.exe powershell powershell.exe pwsh pwsh.exe wsl wsl.exe "
    "bash sh python python3 perl ruby node cscript wscript mshta rundll32 regsvr32 wmic sqlcmd "
    "ssh schtasks sc at".split()
)
_EVALUATING_PARAMETERS: Final = frozenset(
    "-command -c -encodedcommand -e -ec -enc -filter -query -xpath -filterxpath -scriptblock -script -argumentlist "
    "-filterhashtable -expression -ldapfilter -match -notmatch -cmatch -imatch -replace -creplace -ireplace -split "
    "-csplit -isplit -typedefinition -memberdefinition --%".split()
)
#: these take wildcards in names, quoted or not
_DESTROYING = re.compile(
    r"(?i:remove|stop|clear|move|rename|disable|set|restart|copy|uninstall|suspend|unblock|reset|revoke|dismount)-\w+"
)


@dataclass
class _Command:
    words: list[str] = field(default_factory=list)
    word: str | None = None
    begins_quoted: bool = False
    is_called: bool = False  # behind the call operator: text, quoted or not, names what is run


class PowerShellLexer:
    """Reads author text and values in turn; ``place`` says what the next value would meet."""

    def __init__(self) -> None:
        self._state = "bare"
        self._commands = [_Command()]
        self._brackets: list[str] = []
        self._lost = ""
        self._behind = ""

    def read(self, text: str) -> None:
        """Take author text, all of it up to the next value."""
        at = 0
        while at < len(text) and not self._lost:
            at = {"bare": self._in_bare, "single": self._in_single, "double": self._in_double}[self._state](text, at)
        self._behind = "backtick" if self._state != "single" and _ends_in_backtick(text) else ""
        if self._state != "single" and _VARIABLE_AT_END.search(text):
            self._behind = "variable"

    def insert(self, value: str) -> None:
        """Take a value that was put in at the place just asked for."""
        self._behind = ""
        self._add(value)

    def objection(self) -> str:
        """Say at the end why no value may stand in this script at all, or "": what is seen before is enough here."""
        return ""

    def place(self, following: str) -> Place:
        """Say where a value would stand now; ``following`` is the author text behind it."""
        if self._behind:
            return Place("directly behind a '$', a variable's name or a back-tick", strict=False)
        if self._lost:
            return Place(self._lost)
        command = self._commands[-1]
        if not command.words and (self._state == "bare" or command.is_called):
            return Place("in command position", strict=False)
        if self._evaluates(command):
            return Place("where PowerShell may read it as code", safe=SAFE_IN_TERSE_CODE if command.word else None)
        if self._state == "bare":
            return self._place_bare(command, following)
        is_single = self._state == "single"
        return Place(
            "inside single quotes" if is_single else "inside double quotes",
            safe=SAFE_IN_POWERSHELL,
            encode=_inside_single if is_single else _inside_double,
            begins_word=not command.word and not self._is_expression(command),
            after_equals=bool(command.word and command.word.endswith("=")),
            objection=_objection(command),
        )

    def _place_bare(self, command: _Command, following: str) -> Place:
        is_expression = command.begins_quoted or (command.word or "").startswith("$")
        if command.word is not None or (following and following[0] not in " \t\r\n;|)}"):
            return Place("as a part of a word", safe=None if is_expression else SAFE_IN_POWERSHELL)
        return Place(
            "as a word",
            safe=SAFE_IN_POWERSHELL,
            encode=_quoted,
            begins_word=True,
            objection=_objection(command),
        )

    def _evaluates(self, command: _Command) -> bool:
        if not command.words:
            return False
        lowered = [word.lower() for word in command.words]
        return (
            lowered[0].rpartition("\\")[2] in _EVALUATING
            or lowered[-1] in _EVALUATING_PARAMETERS
            or "--%" in lowered
            or not (_PROGRAM.fullmatch(command.words[0]) or self._is_expression(command))
        )

    def _is_expression(self, command: _Command) -> bool:
        return self._state != "bare" and (not command.words or command.words[0].startswith(("$", "'")))

    # Reading author text; each returns the next offset

    def _in_bare(self, text: str, at: int) -> int:
        character = text[at]
        if character in " \t\r":
            self._end_word()
        elif character in "\n;|":
            self._end_command()
        elif character in _SINGLE or character in _DOUBLE:
            return self._open_quote(text, at)
        elif character == "`":
            self._add(text[at + 1 : at + 2])
            return at + 2
        elif character in "([{":
            self._open(text, at)
        elif character in ")]}":
            self._close(character)
        elif character == "#" and self._commands[-1].word is None:
            self._lost = "behind a comment"
        elif character == "&":
            self._end_command()
            self._commands[-1].is_called = True
        elif character == "=" and self._commands[-1].word is None:
            self._commands[-1] = _Command()
        elif character == "$":
            return self._variable(text, at)
        elif character in "<>@":
            self._lost = "behind a redirection, a splat or a here-string"
        else:
            self._add(character)
        return at + 1

    def _open_quote(self, text: str, at: int) -> int:
        command = self._commands[-1]
        if command.word is None:
            command.word, command.begins_quoted = "", True
        self._state = "single" if text[at] in _SINGLE else "double"
        return at + 1

    def _open(self, text: str, at: int) -> None:
        if text[at] == "[" or self._commands[-1].word is not None:
            # A type, an index, a method call: what stands inside is no argument.
            self._lost = "behind a bracket"
            return
        self._brackets.append(text[at])
        self._commands.append(_Command())

    def _close(self, character: str) -> None:
        if not self._brackets or self._brackets[-1] != {")": "(", "}": "{"}.get(character):
            self._lost = "behind a bracket that was not opened"
            return
        self._brackets.pop()
        self._commands.pop()
        self._commands[-1].words.append("'()'")

    def _variable(self, text: str, at: int) -> int:
        name = _VARIABLE.match(text, at)
        if not name:
            if at + 1 < len(text):
                self._lost = "behind a sub-expression"
            return at + 1
        self._add(name[0])
        return name.end()

    def _in_single(self, text: str, at: int) -> int:
        if text[at] not in _SINGLE:
            self._add(text[at])
        elif at + 1 < len(text) and text[at + 1] in _SINGLE:
            self._add("'")
            return at + 2
        else:
            self._state = "bare"
        return at + 1

    def _in_double(self, text: str, at: int) -> int:
        character = text[at]
        if character == "`":
            self._add(text[at + 1 : at + 2])
            return at + 2
        if character in _DOUBLE:
            if at + 1 < len(text) and text[at + 1] in _DOUBLE:
                self._add('"')
                return at + 2
            self._state = "bare"
        elif text.startswith(("$(", "${"), at):
            self._lost = "behind a sub-expression"
        else:
            self._add(character)
        return at + 1

    # Words and commands

    def _add(self, text: str) -> None:
        command = self._commands[-1]
        command.word = (command.word or "") + text

    def _end_word(self) -> None:
        command = self._commands[-1]
        if command.word is not None:
            command.words.append(f"'{command.word}" if command.begins_quoted else command.word)
        command.word, command.begins_quoted = None, False

    def _end_command(self) -> None:
        self._end_word()
        self._commands[-1] = _Command()


def _ends_in_backtick(text: str) -> bool:
    return (len(text) - len(text.rstrip("`"))) % 2 == 1


def _objection(command: _Command) -> Callable[[str], str]:
    name = command.words[0] if command.words else ""
    is_native = bool(_PROGRAM.fullmatch(name)) and not _CMDLET.fullmatch(name)
    is_literal = bool(command.words) and command.words[-1].lower() == "-literalpath"

    def objection(value: str) -> str:
        if is_native and ('"' in value or value.endswith("\\")):
            return "double quotes and a final backslash do not reach native programs unchanged"
        if _DESTROYING.fullmatch(name) and not is_literal and set(value) & set("*?[]"):
            return "it holds a wildcard; use -LiteralPath"
        return ""

    return objection


def _inside_single(value: str) -> str:
    return re.sub(f"([{_SINGLE}])", r"\1\1", value)


def _quoted(value: str) -> str:
    return f"'{_inside_single(value)}'"


def _inside_double(value: str) -> str:
    return re.sub(f"([`${_DOUBLE}])", r"`\1", value)
