"""Reads keys and refuses those that are no secret: sample values, short ones, ones without randomness (SEC-34)."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error

from config.env import Refused

SAMPLES = frozenset(
    "changeme change-me change_me secret password passwd admin root default example test postgres redis sallyport "
    "insecure letmein dev development secretkey secret-key your-secret-key supersecret".split()
)


def is_sample(value: str) -> bool:
    """Whether the value is one that documentation and sample files are full of."""
    plain = value.strip().lower()
    return plain in SAMPLES or plain.startswith(("django-insecure", "changeme", "change-me", "your-", "replace-"))


def signing_key(name: str, value: str) -> str:
    """Return the value if it can be a signing key: 32 characters or more, and not a sample."""
    if is_sample(value) or len(value) < 32 or len(set(value)) < 12:
        raise Refused(name, "at least 32 random characters; make one with `openssl rand -base64 48`")
    return value


def master_keys(name: str, value: str) -> tuple[str, dict[str, str]]:
    """Return (id of the primary key, id -> key in base64).

    ``value`` holds one or more keys separated by commas or white space, the primary first. Each is 32 random
    bytes in base64, alone or as ``ID:KEY``; a key without an id is named by its digest.
    """
    expected = (
        "keys of 32 random bytes in base64, as KEY or ID:KEY, primary first; make one with `openssl rand -base64 32`"
    )
    keys: dict[str, str] = {}
    for word in value.replace(",", " ").split():
        given, _, encoded = word.rpartition(":")
        try:
            octets = b64decode(encoded, validate=True)
        except (Error, ValueError):
            raise Refused(name, expected) from None
        if len(octets) != 32 or len(set(octets)) < 12:
            raise Refused(name, expected)
        keys[given or hashlib.sha256(octets).hexdigest()[:8]] = encoded
    if not keys:
        raise Refused(name, expected)
    return next(iter(keys)), keys
