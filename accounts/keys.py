"""API keys as text: made, digested, shown by their beginning. Only the digest is ever stored (SEC-38)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "s4e_live_"
RANDOM_OCTETS: Final = 32
#: characters shown so that people can tell keys apart; the random part stays far beyond guessing
SHOWN: Final = 16


@dataclass(frozen=True)
class NewKey:
    """A key at the one moment when its text is known."""

    text: str
    prefix: str
    digest: str

    def __repr__(self) -> str:
        return f"NewKey({self.prefix}...)"


def new_key() -> NewKey:
    text = PREFIX + secrets.token_urlsafe(RANDOM_OCTETS)
    return NewKey(text=text, prefix=text[:SHOWN], digest=digest_of(text))


def digest_of(key: str) -> str:
    """Return the SHA-256 by which a key is stored and found. A slow hash is not needed for 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
