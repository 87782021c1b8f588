"""Secret values: their type, their form at rest, and their removal from what is stored or shown (SECURITY.md 3.3)."""

from core.secrets.envelope import (
    Keyring,
    MasterKeyMissing,
    SecretContext,
    SecretUnreadable,
    key_id_of,
    open_sealed,
    rewrap,
    seal,
)
from core.secrets.scrubbing import Scrubber, StreamScrubber
from core.secrets.value import MASK, Secret, is_masked, mask

__all__ = [
    "MASK",
    "Keyring",
    "MasterKeyMissing",
    "Scrubber",
    "Secret",
    "SecretContext",
    "SecretUnreadable",
    "StreamScrubber",
    "is_masked",
    "key_id_of",
    "mask",
    "open_sealed",
    "rewrap",
    "seal",
]
