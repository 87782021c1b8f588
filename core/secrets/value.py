"""The type of a decrypted value (SEC-19)."""

from __future__ import annotations

import hmac
from typing import Any, Final, NoReturn, Self

#: of one length, whatever it hides: no first or last characters, no length
MASK: Final = "********"


class Secret:
    """A decrypted value that does not show itself: ``str``, ``repr``, ``format`` give stars, pickle and JSON raise."""

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """Return the value. Called in connector clients as it is sent, and where a keyed digest of it is made."""
        return self._value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("A secret does not change.")

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, specification: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._encoded(), other._encoded())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is not pickled.")

    def __getstate__(self) -> NoReturn:
        raise TypeError("A secret is not pickled.")

    def _encoded(self) -> bytes:
        return self._value.encode("utf-8", "surrogatepass")


def mask(value: object) -> str:
    """Return what is shown in place of a secret: stars, or empty text where no secret is set."""
    return MASK if value else ""


def is_masked(value: object) -> bool:
    """Whether a caller sent the stars back that it was shown: refused, never stored (SEC-21)."""
    return isinstance(value, str) and len(value) >= 3 and not value.strip("*\u2022")
