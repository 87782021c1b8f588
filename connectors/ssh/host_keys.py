"""Host keys pinned on a connection (SEC-07): SHA256 fingerprints, public keys, or known-hosts lines, one a line."""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncssh

from core.errors import Invalid

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_ALGORITHM = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+")
#: signature algorithms that a key of a type may offer for
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class HostKeyUnreadable(Invalid):
    """What is pinned is no fingerprint and no key."""

    code = "host_key_unknown"


@dataclass(frozen=True)
class PinnedKeys:
    """``fingerprints``: the keys that are right. ``algorithms``: types to ask the server for before others."""

    fingerprints: frozenset[str]
    algorithms: tuple[str, ...] = ()

    def holds(self, key: asyncssh.SSHKey) -> bool:
        return key.get_fingerprint("sha256") in self.fingerprints


def read_pins(text: str) -> PinnedKeys:
    """Read the setting ``host_key``. Raises HostKeyUnreadable if a line is neither, or there is none."""
    fingerprints: set[str] = set()
    algorithms: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        words = line.split()
        algorithm = next((word for word in words if _ALGORITHM.fullmatch(word)), None)
        fingerprint = next((word for word in words if _FINGERPRINT.fullmatch(word)), None)
        if fingerprint is not None:
            fingerprints.add(fingerprint.rstrip("="))
        else:
            fingerprints.add(_of_key(words, algorithm))
        algorithms += _SIGNATURES.get(algorithm, (algorithm,)) if algorithm else ()
    if not fingerprints:
        raise HostKeyUnreadable("No host key is pinned.")
    return PinnedKeys(frozenset(fingerprints), tuple(dict.fromkeys(algorithms)))


def _of_key(words: list[str], algorithm: str | None) -> str:
    """The fingerprint of ``[host] type base64 [comment]``."""
    if algorithm is None or words.index(algorithm) + 1 >= len(words):
        raise HostKeyUnreadable("A pinned host key is SHA256:..., or a line as in a known-hosts file.")
    try:
        key = asyncssh.import_public_key(" ".join(words[words.index(algorithm) :][:2]))
    except (asyncssh.KeyImportError, ValueError):
        raise HostKeyUnreadable("The pinned host key cannot be read.") from None
    return key.get_fingerprint("sha256")
