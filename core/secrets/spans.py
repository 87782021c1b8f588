"""Places in octets: pairs of start and end (exclusive), and what is done with them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final

from core.secrets.value import MASK

Span = tuple[int, int]

_BREAK = re.compile(rb"[\r\n]")
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_MASK: Final = MASK.encode()


def positions(octets: bytes) -> Callable[[int], int]:
    """Return what maps an offset in ``octets`` without line breaks to the offset in ``octets``."""
    kept_before = [match.start() - index for index, match in enumerate(_BREAK.finditer(octets))]
    return lambda compacted: compacted + bisect_right(kept_before, compacted)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that touch or overlap as one."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def clipped(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Return the parts of the spans between ``start`` and ``end``, counted from ``start``."""
    return [
        (max(left, start) - start, min(right, end) - start) for left, right in spans if left < end and right > start
    ]


def widened(octets: bytes, start: int, end: int, edge: int) -> Span:
    """Return the span in whole UTF-8 characters, with one base64 character before it and up to ``edge`` behind it."""
    if edge and start > 0 and octets[start - 1] in _BASE64:
        start -= 1
    limit = min(len(octets), end + edge)
    while edge and end < limit and octets[end] in _BASE64:
        end += 1
    while start > 0 and _is_continuation(octets[start]):
        start -= 1
    while end < len(octets) and _is_continuation(octets[end]):
        end += 1
    return start, end


def replaced(octets: bytes, spans: Iterable[Span]) -> bytes:
    """Return ``octets`` with each span replaced by stars."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [octets[at:start], _MASK]
        at = end
    return b"".join([*pieces, octets[at:]])


def end_of_safe(octets: bytes, keep: int) -> int:
    """Return how much of ``octets`` may go, in whole characters, while ``keep`` octets that are no line breaks stay."""
    if keep == 0:
        return len(octets)
    kept = len(octets.translate(None, b"\r\n")) - keep
    if kept <= 0:
        return 0
    end = positions(octets)(kept)
    while end > 0 and _is_continuation(octets[end]):
        end -= 1
    return end


def _is_continuation(octet: int) -> bool:
    return octet & 0xC0 == 0x80
