"""Why a stream ends: the close codes of RULINGS 25, and those of RFC 6455 where ours have no word."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    ENDED = 1000  # the execution is over and its last event was sent
    TOO_LARGE = 1009  # a frame of the client exceeds the limit
    BROKEN = 1011  # a bug of ours
    TRY_LATER = 1013  # the database does not answer
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    TOO_SLOW = 4408
    TOO_MANY = 4429


class Closed(Exception):
    """Ends a stream from our side. ``reason`` is shown to the client: ASCII, 123 characters at most (RFC 6455, 5.5)."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Gone(Exception):
    """The client has left."""
