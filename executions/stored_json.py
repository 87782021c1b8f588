"""JSON as PostgreSQL can hold it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from executions.engine.apart import Apart

_PLAIN: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

#: characters of a message in a row or an event; what it is about stands elsewhere
LONGEST_MESSAGE: Final = 4_000


def read_json(value: Any) -> Any:
    """Django's cursor gives jsonb as text."""
    return json.loads(value) if isinstance(value, str) else value


def storable(value: Any) -> Any:
    """Return ``value`` as PostgreSQL can hold it: no U+0000 and no lone surrogate in a text, no infinite number."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def brief(message: str) -> str:
    """Return a message as a row holds it, cut where it is longer than anybody reads."""
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return str(storable(message))


def write_json(value: Any) -> str:
    """Return JSON that PostgreSQL can hold; what it cannot hold is replaced as ``storable`` says."""
    try:
        text = _PLAIN(value)
        if "\\u0000" not in text and (text.isascii() or text.encode()):
            return text
    except (TypeError, ValueError):
        pass  # something that is no plain JSON, or a text or number that has no place there
    return json.dumps(storable(value), ensure_ascii=False, default=_as_text)


def _as_text(value: Any) -> str:
    if isinstance(value, Apart):
        raise TypeError("A value that is stored apart is written by executions.payloads only.")
    return str(value)
