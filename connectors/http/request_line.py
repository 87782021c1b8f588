"""The start line of an ``http-api`` command, and the path of an ``act-http-request``, as a request target.

Outside values fill path and query only, percent-encoded. Method, version and host are the author's own text, and
a host that is not the destination's is refused (SEC-04). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from connectors.base import Part, Parts, Trust
from core.errors import Invalid
from core.quoting import join_target

_VERSION = re.compile(r"HTTP/?[0-9](\.[0-9])?", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)
_METHOD = re.compile(r"[A-Za-z]{1,20}")
_NEVER = frozenset({"CONNECT", "TRACE"})
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: what may stand in a path or query as it is, a percent sign of an encoding included
_KEPT = "%/:@!$&'()*+,;=~-._?"


class RequestInvalid(Invalid):
    """The start line or path cannot be sent as it is."""

    code = "command_invalid"


class OtherHost(RequestInvalid):
    """The request names another host than its destination."""

    code = "destination_refused"


@dataclass(frozen=True)
class RequestTarget:
    """``path`` begins with a slash; ``query`` is without its question mark; both are encoded.

    ``origin``: scheme and host of an absolute target, to be compared with the destination's; None when relative.
    """

    path: str
    query: str = ""
    origin: str | None = None

    def on(self, base: str) -> str:
        """Return the URL of this target on a destination's ``base`` address.

        A base path is put before the target's, unless the target begins with it already.
        Raises OtherHost if the target is absolute and its origin is not that of ``base``.
        """
        parts = urlsplit(base)
        if self.origin is not None and origin_of(self.origin) != origin_of(base):
            raise OtherHost("The start line names another host than the target of the step.")
        prefix = parts.path.rstrip("/")
        inside = not prefix or self.path == prefix or self.path.startswith(f"{prefix}/")
        query = "&".join(text for text in (parts.query, self.query) if text)
        path = self.path if inside else f"{prefix}{self.path}"
        return f"{parts.scheme}://{parts.netloc}{path}{'?' if query else ''}{query}"


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL in comparable form. Raises OtherHost if it has no readable host."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        raise OtherHost("The host of the request cannot be read.") from None
    if parts.username is not None or not parts.hostname:
        raise OtherHost("The host of the request cannot be read.")
    return parts.scheme.lower(), parts.hostname.lower().rstrip("."), port


def method_of(arguments: Mapping[str, Any]) -> str:
    """Return the method of a call in capitals, for a start line and for an operation's arguments; "" if unreadable."""
    command = arguments.get("command")
    if command is None:
        return str(arguments.get("method", "GET")).upper()
    words = _words(command)
    return words[0][0].text.upper() if words and _is_method(words[0]) else ""


def read_start_line(parts: Parts) -> tuple[str, RequestTarget]:
    """Read ``METHOD target [HTTP/x.y]``; return the method and the target.

    Raises RequestInvalid, OtherHost, or ``core.quoting.UnsafePlaceholder``.
    """
    words = _words(parts)
    if not words or not _is_method(words[0]):
        raise RequestInvalid("A start line begins with a method written out: 'GET /path HTTP/1.1'.")
    if len(words) > 2 and len(words[-1]) == 1 and _VERSION.fullmatch(words[-1][0].text):
        words.pop()
    if len(words) != 2:
        raise RequestInvalid("A start line has a method, one target without spaces, and the version.")
    method = words[0][0].text.upper()
    if method in _NEVER:
        raise RequestInvalid(f"The method {method} is for proxies and is not sent.")
    return method, _read(join_target(words[1]))


def read_path(path: str) -> RequestTarget:
    """Read the ``path`` parameter of an operation: path and query in one text, encoded where needed."""
    if _CONTROL.search(path):
        raise RequestInvalid("The path holds a control character.")
    return _read(quote(path, safe=_KEPT))


def _read(text: str) -> RequestTarget:
    """Read a joined target. A fragment is no part of a request and falls away."""
    text = quote(text.partition("#")[0], safe=_PRINTABLE)
    absolute = _ORIGIN.match(text)
    rest = text[absolute.end() :] if absolute else text
    path, _, query = rest.partition("?")
    path = path if path.startswith("/") else f"/{path}"
    if path.startswith("//") or "\\" in path:
        raise OtherHost("A request target may not begin with two slashes or hold a backslash.")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise RequestInvalid("A request target may not hold the segments '.' and '..'.")
    return RequestTarget(path=path, query=query, origin=absolute[0] if absolute else None)


def _is_method(word: list[Part]) -> bool:
    return len(word) == 1 and word[0].trust is Trust.AUTHOR and bool(_METHOD.fullmatch(word[0].text))


def _words(parts: Parts) -> list[list[Part]]:
    """Split at the spaces of author text. Neighbouring author parts of a word are joined, values stay apart."""
    words: list[list[Part]] = [[]]
    for part in parts:
        if part.trust is not Trust.AUTHOR:
            words[-1].append(part)
            continue
        for index, text in enumerate(re.split(r"[ \t\r\n]+", part.text)):
            if index:
                words.append([])
            if not text:
                continue
            if words[-1] and words[-1][-1].trust is Trust.AUTHOR:
                words[-1][-1] = Part(words[-1][-1].text + text)
            else:
                words[-1].append(Part(text))
    return [word for word in words if word]
