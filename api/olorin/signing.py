"""Signed actions: HMAC-SHA256 over the body, in one of three forms (SEC-43, SEC-44).

A signature inside the body cannot cover itself, so the text is the body without ``soar_signature``; its numbers are
written as they stand in the request. The raw form signs the octets themselves, and the time where one is given.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from core import strict_json
from core.secrets import Secret

REPLAY_WINDOW: Final = timedelta(seconds=300)
FIELD: Final = "soar_signature"

_IN_BODY: Final = re.compile(r"sha256=([0-9a-f]{64})")
_IN_HEADER: Final = re.compile(r"(?:sha256=)?([0-9a-f]{64})")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
#: stands for the secret of a tenant that is not there or has none, so that the time says nothing about it
_NOBODY: Final = Secret("no tenant signs with this one")


@dataclass(frozen=True)
class Signed:
    """What a request says of its signature. ``header`` and ``timestamp`` None: not sent."""

    body: Mapping[str, Any]
    octets: bytes
    header: str | None
    timestamp: str | None


def is_signed(signed: Signed, secrets: Sequence[Secret], *, requires_timestamp: bool, now: datetime) -> bool:
    """Whether the request is signed by one of ``secrets``.

    ``requires_timestamp``: only a signature that covers a time counts, which is the raw form alone.
    """
    in_body = signed.body.get(FIELD)
    found = (_IN_HEADER.fullmatch(signed.header or ""), _IN_BODY.fullmatch(in_body or ""))
    given = (found[0] if in_body is None else found[1]) or None
    texts = [_raw(signed)] if in_body is None else [_canonical(signed.body), _variant(signed.body)]
    digest = given[1] if given else "0" * 64
    good = [hmac.compare_digest(_hmac(secret, text), digest) for secret in secrets or [_NOBODY] for text in texts]
    agrees = in_body is None or signed.header is None or (found[0] is not None and found[0][1] == digest)
    is_fresh = signed.timestamp is None or _is_fresh(signed.timestamp, now=now)
    has_time = not requires_timestamp or (in_body is None and signed.timestamp is not None)
    return given is not None and bool(secrets) and any(good) and agrees and is_fresh and has_time


def _is_fresh(timestamp: str, *, now: datetime) -> bool:
    if not _SECONDS.fullmatch(timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= REPLAY_WINDOW.total_seconds()


def _hmac(secret: Secret, text: bytes) -> str:
    return hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()


def _raw(signed: Signed) -> bytes:
    return signed.octets if signed.timestamp is None else signed.timestamp.encode() + b"." + signed.octets


def _canonical(body: Mapping[str, Any]) -> bytes:
    """Names sorted at every level, no spaces, UTF-8."""
    return strict_json.dumps(_sorted(_without_signature(body)))


def _variant(body: Mapping[str, Any]) -> bytes:
    """As above, with a space after commas and colons, and only ASCII."""
    return _spaced(_sorted(_without_signature(body))).encode("ascii")


def _without_signature(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != FIELD}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _spaced(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {_spaced(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spaced, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else strict_json.dumps(value).decode()
