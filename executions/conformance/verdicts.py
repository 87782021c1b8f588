"""One checked fact and what was wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """``subject``: the file and scenario or sample; ``problems``: empty when it passed."""

    kind: str  # import, trace, condition, signature
    subject: str
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems


def differences(expected: dict[str, Any], found: dict[str, Any]) -> tuple[str, ...]:
    """Compare member by member; a member that is not expected is not looked at."""
    return tuple(
        f"{name}: expected {_short(value)}, found {_short(found.get(name))}"
        for name, value in expected.items()
        if found.get(name) != value
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 600 else text[:600] + " ..."
