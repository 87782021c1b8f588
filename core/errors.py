"""Domain errors: six kinds, each turned into a status code only by a family in ``api/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One fault of an input: where it is (``steps[0].action_ref``) and what would be right."""

    path: str
    message: str


class DomainError(Exception):
    """Base of every refusal the domain makes. ``code`` is for machines, the message for people."""

    code = "error"

    def __init__(self, message: str, *, fields: Sequence[FieldError] = (), **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = tuple(fields)
        self.context = context


class Invalid(DomainError):
    """The input cannot mean anything, or not what the caller wants."""

    code = "invalid"


class NotFound(DomainError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"


class Conflict(DomainError):
    """The state of the thing forbids it."""

    code = "conflict"


class Forbidden(DomainError):
    """The caller is known and may not do it."""

    code = "forbidden"


class LimitReached(DomainError):
    """Too much for now. ``retry_after`` is in whole seconds."""

    code = "limit_reached"

    def __init__(self, message: str, *, retry_after: int, fields: Sequence[FieldError] = (), **context: Any) -> None:
        super().__init__(message, fields=fields, **context)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part that is needed does not answer. ``retry_after`` is in whole seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 5, **context: Any) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after
