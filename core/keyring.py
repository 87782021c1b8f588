"""The master keys of this deployment, from its settings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.secrets import Keyring


def keyring() -> Keyring:
    """Return the key ring of ``SALLYPORT_MASTER_KEYS`` (id to base64 of 32 octets) and ``SALLYPORT_PRIMARY_KEY``.

    Raises ImproperlyConfigured, which names the key and never shows it.
    """
    keys: Mapping[str, str] = settings.SALLYPORT_MASTER_KEYS
    return _keyring(settings.SALLYPORT_PRIMARY_KEY, tuple(sorted(keys.items())))


@lru_cache(maxsize=4)
def _keyring(primary_id: str, keys: tuple[tuple[str, str], ...]) -> Keyring:
    try:
        return Keyring(primary_id=primary_id, keys={key_id: _decoded(key_id, text) for key_id, text in keys})
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None


def _decoded(key_id: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"The master key {key_id!r} is not base64.") from None
