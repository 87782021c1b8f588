"""One outgoing request, and its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from core.outbound.policy import OutboundPolicy

_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
#: the codecs that a peer may choose; Python knows others that are slow or no text at all
_TEXT_CODECS: Final = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|latin-?1|iso-?8859-?[0-9]{1,2}|windows-?125[0-8]|cp125[0-8]"
    r"|shift_?jis|euc-?(?:jp|kr)|gb2312|gbk|gb18030|big5|koi8-?[ru]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OutboundRequest:
    """``headers`` in order; Host, framing and connection headers are ours and fall away. ``time_limit`` spans
    everything from the look-up to the last byte. ``before_send`` is called right before the first byte of the request
    (of each request, when redirects are followed): False refuses with ``lease_lost``. ``redirects``: how many may be
    followed, on the same origin only, 3 at most; others are returned as they came. ``pool``: requests with different
    names never share a connection.
    """

    method: str
    url: str
    policy: OutboundPolicy = field(default_factory=OutboundPolicy)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    time_limit: timedelta = timedelta(seconds=30)
    before_send: Callable[[], bool] | None = None
    redirects: int = 0
    pool: str = ""


@dataclass(frozen=True)
class OutboundResponse:
    """``headers``: names in lower case, repeated ones joined with a comma. ``body`` decoded, 4 MiB at most."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = ""

    @property
    def text(self) -> str:
        """The body as text, in the charset it names or UTF-8; what cannot be read is replaced."""
        charset = _CHARSET.search(self.headers.get("content-type", ""))
        codec = charset[1] if charset and _TEXT_CODECS.fullmatch(charset[1]) else "utf-8"
        return self.body.decode(codec, "replace")
