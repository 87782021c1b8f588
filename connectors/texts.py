"""Values of operations as text for people."""

from __future__ import annotations

from typing import Any

from core import strict_json


def as_text(value: Any) -> str:
    """Return text as it is; anything else as JSON, the way templates write it inside text."""
    return value if isinstance(value, str) else strict_json.dumps(value).decode()
