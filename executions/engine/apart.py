"""Values that are stored apart because they are large, and are read when somebody needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

#: how deep below what templates may read a value can be stored apart: steps, a step, its output
STORED_DEPTH: Final = 3


class Damaged(Exception):
    """What is stored apart is missing, or is not what was stored; the step that needs it fails as ``integrity``."""

    reason = "integrity"


@dataclass(frozen=True)
class Apart:
    """Stands for a value: SHA-256 of its stored form in hexadecimal, and that form's size in octets.

    ``read`` gives the value, the second time without asking the store. Raises Damaged.
    """

    execution: UUID
    digest: str
    size: int
    read: Callable[[], Any] = field(compare=False, repr=False)


def whole(value: Any) -> Any:
    """Return ``value`` itself, read if it is stored apart. Raises Damaged."""
    return value.read() if isinstance(value, Apart) else value


def whole_within(value: Any, *, depth: int) -> Any:
    """As ``whole``, for an object in which values may be stored apart too. The object itself is not changed."""
    value = whole(value)
    if depth == 0 or not isinstance(value, Mapping):
        return value
    read = {name: whole_within(member, depth=depth - 1) for name, member in value.items()}
    return read if any(read[name] is not member for name, member in value.items()) else value
