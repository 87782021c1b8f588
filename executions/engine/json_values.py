"""Comparing JSON values without Python's conversions: 1 is 1.0, but true is not 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal. Iterative, so that depth costs no recursion."""
    pairs = [(left, right)]
    while pairs:
        first, second = pairs.pop()
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            if first.keys() != second.keys():
                return False
            pairs.extend((first[name], second[name]) for name in first)
        elif isinstance(first, list | tuple) and isinstance(second, list | tuple):
            if len(first) != len(second):
                return False
            pairs.extend(zip(first, second, strict=True))
        elif is_number(first) and is_number(second):
            if first != second:
                return False
        elif type(first) is not type(second) or first != second:
            return False
    return True


def have_order(left: Any, right: Any) -> bool:
    """Return whether two values can be ordered: two numbers, or two texts (by code points)."""
    return (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def contains(whole: Any, part: Any) -> bool | None:
    """Return whether a list holds a value or a text a text; None where ``whole`` can hold no such thing."""
    if isinstance(whole, list | tuple):
        return any(same(element, part) for element in whole)
    if isinstance(whole, str) and isinstance(part, str):
        return part in whole
    return None
