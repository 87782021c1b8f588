"""The start line of an HTTP request: ``METHOD target HTTP/x.y``.

Source: CACAO.md 6 and 13.3 (``start-line``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from playbooks.cacao import references

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split())
#: what most start lines are; the others are looked at word by word
_PLAIN = re.compile(r"[A-Z][A-Z0-9_-]* /[^\s]* HTTP/[0-9]\.[0-9]")
_STRICT_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*")
_STRICT_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
_VERSION = re.compile(r"HTTP/?[0-9](\.[0-9])?", re.IGNORECASE)


@dataclass(frozen=True)
class StartLine:
    """A start line as it is sent. ``faults``: what had to be mended, in words; empty for a line that is right."""

    text: str
    faults: tuple[str, ...] = ()


def read(text: str, *, method: str | None = None, declared: Collection[str] = ()) -> StartLine | None:
    """Read one start line; None where the text is none.

    ``method``: the only one that the command type has. A line that is right is given back exactly as it stands.
    """
    if method is None and _PLAIN.fullmatch(text):
        return StartLine(text)
    words = text.split()
    if not 2 <= len(words) <= 3 or "\n" in text.strip():
        return None
    verb, target = words[0], words[1]
    version = words[2] if len(words) == 3 else None
    if version is not None and not _VERSION.fullmatch(version):
        return None
    if not _is_method(verb, declared, is_certain=version is not None) or _VERSION.fullmatch(target):
        return None
    faults = _faults(text, verb, target, version, method, declared)
    if not faults:
        return StartLine(text)
    mended = target if _is_target(target, declared) else f"/{target}"
    number = version if version is not None and _STRICT_VERSION.fullmatch(version) else "HTTP/1.1"
    verb = method or (verb if _is_reference(verb, declared) else verb.upper())
    return StartLine(f"{verb} {mended} {number}", faults)


def _faults(
    text: str, verb: str, target: str, version: str | None, method: str | None, declared: Collection[str]
) -> tuple[str, ...]:
    found: list[str] = []
    if method is not None and verb != method:
        found.append(f"its method is {method}")
    elif not _STRICT_METHOD.fullmatch(verb) and not _is_reference(verb, declared):
        found.append("its method is written in capitals")
    if not _is_target(target, declared):
        found.append("its target begins with a slash")
    if version is None:
        found.append("it ends with a version, HTTP/1.1")
    elif not _STRICT_VERSION.fullmatch(version):
        found.append("its version is written HTTP/1.1")
    if not found and text != f"{verb} {target} {version}":
        found.append("its words are set apart by one space")
    return tuple(found)


def _is_method(verb: str, declared: Collection[str], *, is_certain: bool) -> bool:
    if _is_reference(verb, declared) or verb.upper() in _METHODS:
        return True
    return is_certain and _STRICT_METHOD.fullmatch(verb) is not None


def _is_reference(word: str, declared: Collection[str]) -> bool:
    pieces = references.split(word, declared, dollars=True)
    return len(pieces) == 1 and isinstance(pieces[0], references.Reference)


def _is_target(target: str, declared: Collection[str]) -> bool:
    """Return whether the target is a path, a URL, or begins with a reference, which may give either."""
    if target.startswith("/") or "://" in target or target == "*":
        return True
    return isinstance(references.split(target, declared, dollars=True)[0], references.Reference)
