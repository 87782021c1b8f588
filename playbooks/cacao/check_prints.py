"""Which words of a shell command end up on its output, or in a log.

A rough reading, for a hint and not for safety: quoting decides what a value may do, this only says where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_PRINTERS: Final = frozenset("echo printf print logger wall cat tee".split())
_PRINTING_CMDLETS: Final = frozenset(
    """
    echo write write-host write-output write-verbose write-warning write-error write-information write-debug out-host
    write-eventlog write-log
    """.split()
)
#: in a pipeline these show what they are given; anything else takes it in
_FILTERS: Final = frozenset(
    """
    cat tee logger base64 base32 xxd od hexdump tr sed awk gawk grep head tail cut rev sort uniq fold wc jq nl fmt
    column less more out-string out-host select-object format-table format-list convertto-json
    """.split()
)
_LOGGERS: Final = frozenset({"logger", "wall", "tee", "write-eventlog"})
_TRACING: Final = re.compile(
    r"(?:^|[\s;|&])(?:set\s+-[a-wyz]*x|(?:ba|da|k|z)?sh\s+-[a-wyz]*x|set-psdebug\s+-trace)", re.I
)
_LOG_FILE: Final = re.compile(r">>?\s*[\"']?[^\s;|&\"']*log", re.IGNORECASE)
_TO_FILE: Final = re.compile(r"(?<![0-9&])>>?(?!&)")
_WORDS: Final = re.compile(r"[^\s\"']+")
_PREFIXES: Final = frozenset({"sudo", "command", "builtin", "exec", "time", "nohup", "env", "then", "do", "else", "("})
#: Characters of one command that are looked at.
_READ: Final = 200_000


def prints(text: str, *, is_powershell: bool) -> list[str]:
    """Return the parts of a command whose words are printed or logged."""
    text = text[:_READ]
    if _TRACING.search(text):
        return [text]
    printers = _PRINTERS | _PRINTING_CMDLETS if is_powershell else _PRINTERS
    found: list[str] = []
    for pipeline in _pipelines(text):
        is_shown, is_logged = _stays(pipeline[-1]), False  # what comes out of the stage behind
        for stage in reversed(pipeline):
            name = _program(stage)
            is_logged = is_logged or name in _LOGGERS
            if (is_shown or is_logged) and (name in printers or (is_powershell and _is_bare_value(stage))):
                found.append(stage)
            is_shown = is_shown and name in _FILTERS
    return found


def _stays(last: str) -> bool:
    """Return whether the output of the last stage is seen: not sent to a file, unless that is a log."""
    return not _TO_FILE.search(last) or _LOG_FILE.search(last) is not None


def _program(stage: str) -> str:
    for match in _WORDS.finditer(stage[:400]):
        word = match[0]
        bare = word.lower().rpartition("/")[2]
        if word not in _PREFIXES and "=" not in word and not (word.startswith("-") and len(word) < 3):
            return bare
    return ""


def _is_bare_value(stage: str) -> bool:
    return stage.strip()[:1] in ("\ue000", '"')


def _pipelines(text: str) -> Iterator[list[str]]:
    """Cut a command at `;`, line breaks, `&&`, `||` and, inside a pipeline, at `|`; what is quoted is left whole."""
    pipeline: list[str] = []
    start, quote, at = 0, "", 0
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\" and quote == '"':
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "\\":
            at += 1
        elif character in ";\n|&" and not (character == "&" and text[at - 1 : at] in (">", "<")):
            pipeline.append(text[start:at])
            is_pipe = character == "|" and text[at + 1 : at + 2] != "|"
            at += text[at + 1 : at + 2] in ("|", "&")
            start = at + 1
            if not is_pipe:
                yield pipeline
                pipeline = []
        at += 1
    yield [*pipeline, text[start:]]
