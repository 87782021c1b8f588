"""One HTTP request from the arguments of a call: CACAO texts with values to quote, or plain JSON. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import OCTETS, Endpoint, Parts
from connectors.http.request_line import OtherHost, RequestInvalid, origin_of, read_path, read_start_line
from core import strict_json
from core.quoting import join_form, join_header, join_json, join_text

#: what we set ourselves; an author's value for these is refused or falls away
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"})
_JSON = "application/json"


@dataclass(frozen=True)
class HttpRequest:
    """``headers`` in order, names as the author wrote them; ``content`` None when there is no body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None


def request_of(arguments: Mapping[str, Any], endpoint: Endpoint) -> HttpRequest:
    """Return the request a call makes at ``endpoint``, without what logs it on.

    Raises RequestInvalid, OtherHost, UnsafePlaceholder: nothing may be sent then.
    """
    if "command" in arguments:
        return _of_command(arguments, endpoint)
    return _of_operation(arguments, endpoint)


def _of_command(arguments: Mapping[str, Any], endpoint: Endpoint) -> HttpRequest:
    method, target = read_start_line(arguments["command"])
    url = target.on(endpoint.url)
    given: Mapping[str, Sequence[Parts]] = arguments.get("headers") or {}
    headers = _headers([(name, join_header(value)) for name, values in given.items() for value in values], url)
    content = arguments.get("content")
    if content is None or content == ():
        return HttpRequest(method, url, headers)
    body, kind = _content(content, _content_type(headers))
    return HttpRequest(method, url, _with_type(headers, kind), body)


def _of_operation(arguments: Mapping[str, Any], endpoint: Endpoint) -> HttpRequest:
    method = str(arguments.get("method", "GET")).upper()
    url = read_path(arguments["path"]).on(endpoint.url)
    given: Mapping[str, Any] = arguments.get("headers") or {}
    headers = _headers([(name, _plain_header(name, value)) for name, value in given.items()], url)
    body = arguments.get("body")
    if body is None:
        return HttpRequest(method, url, headers)
    if isinstance(body, str):
        return HttpRequest(method, url, _with_type(headers, "text/plain; charset=utf-8"), body.encode())
    return HttpRequest(method, url, _with_type(headers, _JSON), strict_json.dumps(body))


def _content(content: Parts, content_type: str) -> tuple[bytes, str]:
    """Join the body for the language it is written in, which its type says, or its first character."""
    if len(content) == 1 and content[0].type == OCTETS:
        return base64.b64decode(content[0].text), "application/octet-stream"
    first = next((part.text.lstrip()[:1] for part in content if part.text.strip()), "")
    if _is_json(content_type) or (not content_type and first in ("{", "[")):
        return join_json(content).encode(), _JSON
    if content_type == "application/x-www-form-urlencoded":
        return join_form(content).encode(), content_type
    return join_text(content).encode(), "text/plain; charset=utf-8"


def _headers(pairs: list[tuple[str, str]], url: str) -> tuple[tuple[str, str], ...]:
    """Leave out what belongs to the framing; a Host header must name the host that is called."""
    kept = []
    for name, value in pairs:
        if not name or not name.isascii() or any(mark in name for mark in " \t\r\n:\0"):
            raise RequestInvalid("A header name holds characters that it may not hold.")
        if name.lower() == "host":
            _check_host(value, url)
        elif name.lower() not in _FRAMING:
            kept.append((name, value))
    return tuple(kept)


def _check_host(value: str, url: str) -> None:
    scheme = url.partition("://")[0]
    if origin_of(f"{scheme}://{value.strip()}") != origin_of(url):
        raise OtherHost("The header Host names another host than the target of the step.")


def _plain_header(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if any(mark in text for mark in "\r\n\0"):
        raise RequestInvalid(f"The header {name!r} holds a line break.")
    return text


def _content_type(headers: Sequence[tuple[str, str]]) -> str:
    found = next((value for name, value in headers if name.lower() == "content-type"), "")
    return found.partition(";")[0].strip().lower()


def _with_type(headers: tuple[tuple[str, str], ...], kind: str) -> tuple[tuple[str, str], ...]:
    return headers if _content_type(headers) else (*headers, ("Content-Type", kind))


def _is_json(content_type: str) -> bool:
    return content_type == _JSON or content_type.endswith("+json")
