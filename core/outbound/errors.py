"""What can go wrong on the way out; each error says whether a byte of the request may have been sent."""

from __future__ import annotations

from core.errors import Invalid, Unavailable


class Refused(Invalid):
    """Nothing was sent: effect ``none``. ``code`` is one of ``destination_refused``, ``scheme_refused``,
    ``request_invalid``, ``dns_failed``, ``connect_failed``, ``tls_failed``, ``lease_lost``, ``timeout_before_send``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoAnswer(Unavailable):
    """The request may have been sent, and no whole answer came: effect unknown."""

    code = "no_answer"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class BadAnswer(NoAnswer):
    """An answer came whose ``status`` was read, but which breaks a limit or its own framing."""

    code = "bad_answer"

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
