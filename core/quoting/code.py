"""Words inside the text of another language: where in it they stand (rules 3 and 5 of SECURITY.md 4)."""

from __future__ import annotations

import re
from typing import Final

from core.quoting.places import SAFE_IN_CODE, SAFE_IN_TERSE_CODE
from core.quoting.programs import LOOSE, UNKNOWN

_TERSE: Final = frozenset({"sed", "awk", "perl", "ruby", "unknown", "printf", "echo"})
#: behind these a bare word may be a statement, an instruction or the name of something else
_BEGINS_STATEMENT: Final = ";\n{}|&`!$\\%"


def safe_words(language: str, text: str) -> re.Pattern[str] | None:
    """Return the words that may stand behind ``text``, or None: a word there would be an instruction by itself."""
    text = text.replace(UNKNOWN, "x").replace(LOOSE, "x")
    if language == "sed":
        return SAFE_IN_TERSE_CODE if _is_in_sed_text(text) else None
    before = text.rstrip(" \t")
    if not before or before[-1] in _BEGINS_STATEMENT:
        return None
    return SAFE_IN_TERSE_CODE if language in _TERSE else SAFE_IN_CODE


def _is_in_sed_text(text: str) -> bool:
    """Whether the end of ``text`` is inside a pattern or a replacement: in flags, ``e`` runs a command."""
    delimiter, left, skip = "", 0, False
    at_command = True
    for character in text:
        if skip:
            skip = False
        elif left:
            if character == "\\":
                skip = True
            elif character == delimiter:
                left -= 1
        elif delimiter == "pending":
            delimiter = character
            left = 2
        elif at_command and character in "sy":
            delimiter, at_command = "pending", False
        elif at_command and character == "/":
            delimiter, left = "/", 1
        elif character in ";\n{":
            at_command = True
        elif character not in " \t0123456789,$!":
            at_command = False
    return left > 0 and not skip
