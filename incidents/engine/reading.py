"""Takes the members of a JSON object for what they are, and gathers all that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from core.errors import FieldError, Invalid

#: beyond this a number measures nothing, and sums of such numbers leave the range of a double
LARGEST: Final = 1e15
_REQUIRED: Final[Any] = object()


class Fields:
    """Reads one object. Each method returns the member, or ``default``; faults are raised together by ``end``."""

    def __init__(self, value: Any) -> None:
        """Raises Invalid when ``value`` is no object."""
        if not isinstance(value, dict):
            raise Invalid("Must be an object.", fields=[FieldError("", "Must be an object.")])
        self._value: Mapping[str, Any] = value
        self._known: set[str] = set()
        self._faults: list[FieldError] = []

    def text(self, name: str, *, longest: int, default: Any = _REQUIRED) -> Any:
        """A text that is not blank, of ``longest`` characters at most; null only where the default is None."""
        given, is_given = self._take(name, default)
        if not is_given:
            return given
        if not isinstance(given, str):
            return self.fault(name, "Must be text.")
        if not given.strip():
            return self.fault(name, "Must not be empty.")
        if len(given) > longest:
            return self.fault(name, f"Must have {longest} characters at most.")
        return given

    def choice(self, name: str, words: Collection[str], *, default: Any = _REQUIRED) -> Any:
        given, is_given = self._take(name, default)
        if is_given and (not isinstance(given, str) or given not in words):
            return self.fault(name, f"Must be one of {', '.join(words)}.")
        return given

    def number(self, name: str, *, default: Any = _REQUIRED) -> Any:
        given, is_given = self._take(name, default)
        if is_given and (isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= LARGEST):
            return self.fault(name, f"Must be a number within {LARGEST:.0e} of zero.")
        return given

    def flag(self, name: str, *, default: bool) -> Any:
        given, is_given = self._take(name, default)
        if is_given and not isinstance(given, bool):
            return self.fault(name, "Must be true or false.")
        return given

    def mapping(self, name: str) -> Any:
        given, is_given = self._take(name, {})
        if is_given and not isinstance(given, dict):
            return self.fault(name, "Must be an object.")
        return given

    def texts(self, name: str, *, most: int, longest: int) -> Any:
        given, is_given = self._take(name, [])
        if not is_given:
            return given
        if not isinstance(given, list) or len(given) > most:
            return self.fault(name, f"Must be an array of {most} texts at most.")
        if not all(isinstance(text, str) and text.strip() and len(text) <= longest for text in given):
            return self.fault(name, f"Must hold texts of 1 to {longest} characters.")
        return list(given)

    def has(self, name: str) -> bool:
        return name in self._value

    def fault(self, name: str, message: str) -> None:
        self._faults.append(FieldError(name, message))

    def end(self) -> None:
        """Raises Invalid for the faults found, unknown members among them."""
        unknown = [name[:100] for name in self._value if name not in self._known]
        self._faults += [FieldError(name, "Unknown field.") for name in unknown[:20]]
        self.stop_if_faulty()

    def stop_if_faulty(self) -> None:
        """Raises Invalid for the faults found so far."""
        if self._faults:
            raise Invalid(f"{self._faults[0].path}: {self._faults[0].message}", fields=self._faults)

    def _take(self, name: str, default: Any) -> tuple[Any, bool]:
        self._known.add(name)
        given = self._value.get(name, _REQUIRED)
        if given is _REQUIRED and default is _REQUIRED:
            self.fault(name, "Is required.")
            return None, False
        if given is _REQUIRED or (given is None and default is None):
            return default, False
        return given, True
