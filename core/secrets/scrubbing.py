"""Removal of secrets from text by value, not by field name (SEC-20)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from core.secrets.encodings import base64_forms_of, compact, forms_of
from core.secrets.spans import Span, clipped, end_of_safe, merged, positions, replaced, widened
from core.secrets.value import MASK, Secret

#: in characters: a shorter secret would be found everywhere, so everything is masked instead
SHORTEST: Final = 8
#: base64 characters that may stand beside an inner part, padding included
_EDGE: Final = 3
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


class Scrubber:
    """Replaces every form of the given secrets by stars. Forms: SECURITY.md 7, letters of any case, line breaks inside.

    ``masks_everything``: one of them is shorter than 8 characters, so that no output may be shown at all.
    """

    def __init__(self, secrets: Iterable[Secret | str]) -> None:
        values = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets} - {""}
        self._raw = tuple(compact(_octets(value)) for value in values)
        self.masks_everything = any(len(raw.decode("utf-8", "surrogatepass")) < SHORTEST for raw in self._raw)
        self._base64 = frozenset().union(*map(base64_forms_of, values))
        self._forms = self._base64.union(*map(forms_of, values))
        self.window = max(map(len, self._forms), default=0) + _EDGE

    def __repr__(self) -> str:
        return f"Scrubber({len(self._raw)} secrets)"

    def text(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        if not text or not self._raw:
            return text
        if self.masks_everything:
            return MASK
        octets = _octets(text)
        spans = self.spans(octets)
        clean = _text(replaced(octets, spans)) if spans else text
        return MASK if self.is_hidden_in(clean) else clean

    def value(self, value: Any) -> Any:
        """Return plain data without the secrets, member names included; a number or object that shows one is masked.

        A secret that is split over neighbouring texts is found too.
        """
        if not self._raw:
            return value
        if self.masks_everything:
            return value if value in (None, "", b"", {}, [], ()) else MASK
        return self._rebuilt(value, iter(self._clean_leaves(list(_leaves(value)))))

    def spans(self, octets: bytes) -> list[Span]:
        """Return where secrets stand in ``octets``: in order, apart from each other, end exclusive."""
        compacted = compact(octets)
        found = [
            (at, at + len(form), _EDGE if form in self._base64 else 0)
            for form in self._forms
            if form in compacted
            for at in _occurrences(form, compacted)
        ]
        if not found:
            return []
        original = positions(octets)
        return merged(widened(octets, original(start), original(end - 1) + 1, edge) for start, end, edge in found)

    def is_hidden_in(self, text: str) -> bool:
        """Whether a secret appears once ``text`` is decoded: a mixture of encodings that no single form covers."""
        if not self._raw:
            return False
        if "\\" in text:
            unescaped = compact(_octets(_ESCAPE.sub(_unescaped, text)))
            if any(form in unescaped for form in self._forms):
                return True
        return any(raw in compact(_octets(decoded)) for decoded in _decodings(text) for raw in self._raw)

    def _clean_leaves(self, leaves: list[str]) -> list[str]:
        encoded = [_octets(leaf) for leaf in leaves]
        spans = self.spans(b"".join(encoded))
        clean, start = [], 0
        for text, octets in zip(leaves, encoded, strict=True):
            inside = clipped(spans, start, start + len(octets)) if spans else []
            start += len(octets)
            shown = _text(replaced(octets, inside)) if inside else text
            clean.append(MASK if self.is_hidden_in(shown) else shown)
        return clean

    def _rebuilt(self, value: Any, clean: Iterator[str]) -> Any:
        if isinstance(value, Mapping):
            return {
                self.text(name) if isinstance(name, str) else name: self._rebuilt(item, clean)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            items = [self._rebuilt(item, clean) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if value is None or isinstance(value, bool):
            return value
        text = next(clean)
        if isinstance(value, str):
            return text
        return value if text == _leaf_text(value) and not isinstance(value, Secret) else MASK


class StreamScrubber:
    """Scrubs text that arrives in pieces: holds back as much as the longest form may still need."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._held = b""
        self._covered = 0  # octets at the beginning of what is held that belong to a secret shown as stars already
        self._saw_something = False

    def feed(self, chunk: str) -> str:
        """Take the next piece; return what is safe to show by now."""
        self._saw_something = self._saw_something or bool(chunk)
        if self._scrubber.masks_everything:
            return ""
        self._held += _octets(chunk)
        return self._release(keep=self._scrubber.window)

    def close(self) -> str:
        """Return what was held back. Nothing may be fed afterwards."""
        if self._scrubber.masks_everything:
            return MASK if self._saw_something else ""
        return self._release(keep=0)

    def _release(self, *, keep: int) -> str:
        covered = [(0, self._covered)] if self._covered else []
        spans = merged([*covered, *self._scrubber.spans(self._held)])
        if self._scrubber.is_hidden_in(_text(replaced(self._held, spans))):
            self._held, self._covered = b"", 0
            return MASK
        end = end_of_safe(self._held, keep)
        shown = replaced(self._held[:end], clipped(spans, 0, end))
        if self._covered and end:
            shown = shown.removeprefix(MASK.encode())
        self._held = self._held[end:]
        self._covered = (
            max((stop - end for start, stop in spans if start < end < stop), default=0) if end else self._covered
        )
        return _text(shown)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield _leaf_text(value)


def _leaf_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _occurrences(form: bytes, octets: bytes) -> Iterator[int]:
    at = octets.find(form)
    while at >= 0:
        yield at
        at = octets.find(form, at + 1)


def _decodings(text: str) -> Iterator[str]:
    for decode in (unquote, unquote_plus):
        if "%" in text or "+" in text:
            once = decode(text)
            yield once
            yield decode(once)
    if "&" in text:
        yield html.unescape(text)


def _unescaped(escape: re.Match[str]) -> str:
    if digits := escape[1] or escape[2]:
        return chr(int(digits, 16))
    return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[3], escape[3])


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogatepass")
