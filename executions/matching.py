"""The search by regular expressions from users: linear in the text, by google-re2 (SEC-13)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

MAX_PATTERN: Final = 1_000  # characters
MAX_SUBJECT: Final = 1024 * 1024  # octets of UTF-8
#: What one compiled pattern may take; a nested repetition that needs more is refused.
_MAX_MEMORY: Final = 8 * 1024 * 1024


class PatternRefused(ValueError):
    """The pattern or the text is not one that is searched; the message says why."""


def re2_search(pattern: str, subject: str) -> bool:
    """Return whether ``pattern`` (RE2 syntax: no look-around, no back-reference) is found anywhere in ``subject``.

    Raises PatternRefused for a pattern that is none, has over 1,000 characters or needs too much memory, and for a
    text over 1 MiB.
    """
    octets = _encoded(subject)
    if len(octets) > MAX_SUBJECT:
        raise PatternRefused("A text that is searched has at most 1 MiB.")
    return _compiled(pattern).search(octets) is not None


def check_pattern(pattern: str) -> None:
    """Raise PatternRefused for a pattern that `re2_search` would refuse."""
    _compiled(pattern)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise PatternRefused("Half of a surrogate pair cannot be searched.") from None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise PatternRefused(f"A regular expression has at most {MAX_PATTERN} characters.")
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(_encoded(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise PatternRefused(f"The regular expression cannot be read: {reason}.") from None
