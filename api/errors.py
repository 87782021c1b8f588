"""Problem: what went wrong, said once for all families; each family only chooses its words and envelope.

A family never looks at exceptions. ``problem_of`` turns whatever was raised into a Problem, the family's
``error_body`` turns the Problem into its body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core import exceptions as django_errors
from django.db import DatabaseError, DataError, InterfaceError
from django.http import Http404
from django.http.request import UnreadablePostError
from rest_framework import exceptions as drf_errors

from core.database import is_away
from core.errors import Conflict, DomainError, FieldError, Forbidden, Invalid, LimitReached, NotFound, Unavailable
from core.strict_json import JsonInvalid


class Kind(StrEnum):
    """The situations of contracts/README.md, "Envelopes and errors"."""

    MALFORMED = "malformed"  # no JSON that we read
    NOT_OBJECT = "not_object"  # JSON, but no object
    INVALID = "invalid"  # a field is missing or wrong
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD = "method"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    MEDIA_TYPE = "media_type"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"  # a synchronous action is not done in its time


@dataclass(frozen=True)
class Words:
    status: int
    code: str
    message: str


#: The answer where a family says nothing else (``Family.statuses``).
WORDS: Mapping[Kind, Words] = {
    Kind.MALFORMED: Words(400, "bad_request", "The request could not be read."),
    Kind.NOT_OBJECT: Words(400, "bad_request", "The body must be a JSON object."),
    Kind.INVALID: Words(422, "validation_error", "A field is missing or wrong."),
    Kind.UNAUTHORIZED: Words(401, "unauthorized", "Credentials are missing or not valid."),
    Kind.FORBIDDEN: Words(403, "forbidden", "You may not do this."),
    Kind.NOT_FOUND: Words(404, "not_found", "Not found."),
    Kind.METHOD: Words(405, "method_not_allowed", "This path does not know that method."),
    Kind.CONFLICT: Words(409, "conflict", "The present state does not allow this."),
    Kind.TOO_LARGE: Words(413, "payload_too_large", "The body is too large."),
    Kind.MEDIA_TYPE: Words(415, "unsupported_media_type", "Send JSON as application/json in UTF-8, not compressed."),
    Kind.RATE_LIMITED: Words(429, "rate_limited", "Too many requests."),
    Kind.INTERNAL: Words(500, "internal_error", "Something went wrong on our side."),
    Kind.UNAVAILABLE: Words(503, "unavailable", "The service cannot answer right now."),
    Kind.TIMEOUT: Words(504, "timeout", "It was not done in time."),
}


@dataclass(frozen=True)
class Problem:
    """``code`` is HTTP's word (``conflict``), ``reason`` the domain's (``playbook_revoked``).

    ``retry_after`` is in whole seconds.
    """

    kind: Kind
    status: int
    code: str
    message: str
    reason: str = ""
    fields: tuple[FieldError, ...] = ()
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


class Refusal(Exception):
    """Raised in ``api/`` itself, where no domain error fits: a bad header, a wrong media type."""

    def __init__(
        self,
        kind: Kind,
        message: str = "",
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.fields = tuple(fields)
        self.headers = dict(headers or {})
        self.retry_after = retry_after


def problem(
    kind: Kind,
    message: str = "",
    *,
    reason: str = "",
    fields: Sequence[FieldError] = (),
    retry_after: int | None = None,
    headers: Mapping[str, str] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Problem:
    """Return the Problem of a kind, with its usual status and code, and its usual message unless another is given."""
    words = WORDS[kind]
    login = {"WWW-Authenticate": "Bearer"} if kind is Kind.UNAUTHORIZED else {}
    return Problem(
        kind=kind,
        status=words.status,
        code=words.code,
        message=message or words.message,
        reason=reason or words.code,
        fields=tuple(fields),
        retry_after=retry_after,
        headers=login | dict(headers or {}),
        context=dict(context or {}),
    )


def problem_of(error: BaseException) -> Problem | None:
    """Return the Problem that an exception means, or None for a bug, which is to be logged and answered 500."""
    if isinstance(error, Refusal):
        return problem(
            error.kind, error.message, fields=error.fields, headers=error.headers, retry_after=error.retry_after
        )
    if isinstance(error, DomainError):
        return _of_domain(error)
    if isinstance(error, drf_errors.APIException):
        return _of_rest_framework(error)
    return _of_django(error)


_DOMAIN: tuple[tuple[type[DomainError], Kind], ...] = (
    (JsonInvalid, Kind.MALFORMED),
    (Invalid, Kind.INVALID),
    (NotFound, Kind.NOT_FOUND),
    (Conflict, Kind.CONFLICT),
    (Forbidden, Kind.FORBIDDEN),
    (LimitReached, Kind.RATE_LIMITED),
    (Unavailable, Kind.UNAVAILABLE),
)


def _of_domain(error: DomainError) -> Problem | None:
    for kind_of_error, kind in _DOMAIN:
        if isinstance(error, kind_of_error):
            return problem(
                kind,
                error.message,
                reason=error.code,
                fields=error.fields,
                retry_after=getattr(error, "retry_after", None),
                context=error.context,
            )
    return None


def _of_rest_framework(error: drf_errors.APIException) -> Problem | None:
    match error:
        case drf_errors.ValidationError():
            fields = tuple(_flatten(error.detail, ""))
            return problem(Kind.INVALID, _first(fields), fields=fields)
        case drf_errors.ParseError():
            return problem(Kind.MALFORMED)
        case drf_errors.NotAuthenticated() | drf_errors.AuthenticationFailed():
            return problem(Kind.UNAUTHORIZED)
        case drf_errors.PermissionDenied():
            return problem(Kind.FORBIDDEN)
        case drf_errors.NotFound():
            return problem(Kind.NOT_FOUND)
        case drf_errors.MethodNotAllowed():
            return problem(Kind.METHOD)
        case drf_errors.UnsupportedMediaType():
            return problem(Kind.MEDIA_TYPE)
        case drf_errors.Throttled():
            return problem(Kind.RATE_LIMITED, retry_after=60)
    return None


def _of_django(error: BaseException) -> Problem | None:
    match error:
        case django_errors.ValidationError():
            fields = tuple(_of_validation(error))
            return problem(Kind.INVALID, _first(fields), fields=fields)
        case Http404():
            return problem(Kind.NOT_FOUND)
        case django_errors.PermissionDenied():
            return problem(Kind.FORBIDDEN)
        case django_errors.RequestDataTooBig():
            return problem(Kind.TOO_LARGE)
        case django_errors.SuspiciousOperation() | django_errors.BadRequest() | UnreadablePostError():
            return problem(Kind.MALFORMED)
        case DatabaseError() | InterfaceError() if is_away(error):
            return problem(Kind.UNAVAILABLE, retry_after=5)
        case DataError():
            # PostgreSQL refuses a value that every check before it let through: the input is at fault.
            return problem(Kind.INVALID)
    return None


def _flatten(detail: Any, path: str) -> Iterator[FieldError]:
    """Yield DRF's nested detail as ``steps[0].action_ref`` and message, in the order of the fields."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            if name == "non_field_errors":
                yield from _flatten(below, path)
            elif isinstance(name, int):
                yield from _flatten(below, f"{path}[{name}]")
            else:
                yield from _flatten(below, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list | tuple):
        nested = any(isinstance(below, Mapping | list | tuple) for below in detail)
        for index, below in enumerate(detail):
            if isinstance(below, Mapping | list | tuple):
                yield from _flatten(below, f"{path}[{index}]")
            elif not nested:
                yield FieldError(path, str(below))
    else:
        yield FieldError(path, str(detail))


def _of_validation(error: django_errors.ValidationError) -> Iterator[FieldError]:
    if hasattr(error, "error_dict"):
        for name, messages in error.message_dict.items():
            path = "" if name == django_errors.NON_FIELD_ERRORS else name
            yield from (FieldError(path, str(message)) for message in messages)
    else:
        yield from (FieldError("", str(message)) for message in error.messages)


def _first(fields: Sequence[FieldError]) -> str:
    if not fields:
        return ""
    return f"{fields[0].path}: {fields[0].message}" if fields[0].path else fields[0].message
