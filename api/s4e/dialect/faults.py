"""Collecting every fault of a body, so that one answer names them all, the first in the message."""

from __future__ import annotations

from typing import Any

from core.errors import FieldError, Invalid

#: further faults are counted, not listed: an answer is for a person to read
MOST_LISTED = 100
_ABSENT = object()


class PlaybookInvalid(Invalid):
    code = "playbook_invalid"

    @classmethod
    def at(cls, path: str, message: str) -> PlaybookInvalid:
        return cls(f"{path}: {message}", fields=[FieldError(path, message)])


class Faults:
    """The faults found so far, in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, path: str, message: str) -> None:
        self.found.append(FieldError(path, message))

    def raise_any(self) -> None:
        """Raise PlaybookInvalid if there is a fault."""
        if self.found:
            first = self.found[0]
            raise PlaybookInvalid(f"{first.path}: {first.message}", fields=self.found[:MOST_LISTED])


class Fields:
    """Reads the members of one JSON object. A wrong one is noted under its path and read as absent."""

    def __init__(self, value: dict[str, Any], path: str, faults: Faults) -> None:
        self.value = value
        self.path = path
        self.faults = faults

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def fault(self, name: str, message: str) -> None:
        self.faults.add(self.at(name), message)

    def has(self, name: str) -> bool:
        """Whether the member is given; null is how an answer shows one that is not."""
        return self.value.get(name) is not None

    def text(self, name: str, *, required: bool = False, longest: int | None = None, blank: bool = False) -> str | None:
        value = self._given(name, required)
        if value is _ABSENT:
            return None
        if not isinstance(value, str):
            self.fault(name, "Must be text.")
        elif not blank and not value.strip():
            self.fault(name, "Must not be empty.")
        elif longest is not None and len(value) > longest:
            self.fault(name, f"May have {longest} characters at most.")
        else:
            return value
        return None

    def word(self, name: str, words: type[Any]) -> Any:
        """One of the words of a StrEnum, or None."""
        value = self._given(name, False)
        if value is _ABSENT:
            return None
        known = [str(word) for word in words]
        if not isinstance(value, str) or value not in known:
            self.fault(name, f"Must be one of {', '.join(known)}.")
            return None
        return words(value)

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        value = self._given(name, False)
        if value is _ABSENT:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fault(name, f"Must be a whole number from {least} to {most}.")
            return None
        return value

    def object(self, name: str, *, required: bool = False) -> dict[str, Any] | None:
        value = self._given(name, required)
        if value is _ABSENT:
            return None
        if not isinstance(value, dict):
            self.fault(name, "Must be an object.")
            return None
        return value

    def array(self, name: str, *, required: bool = False) -> list[Any] | None:
        value = self._given(name, required)
        if value is _ABSENT:
            return None
        if not isinstance(value, list):
            self.fault(name, "Must be an array.")
            return None
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of text; every element that is none is a fault of its own."""
        values = self.array(name)
        good = []
        for index, value in enumerate(values or ()):
            if isinstance(value, str):
                good.append(value)
            else:
                self.fault(f"{name}[{index}]", "Must be text.")
        return tuple(good)

    def _given(self, name: str, required: bool) -> Any:
        value = self.value.get(name, _ABSENT)
        if value is _ABSENT and required:
            self.fault(name, "Is required.")
        return _ABSENT if value is None and not required else value
