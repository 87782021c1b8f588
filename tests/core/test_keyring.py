"""The master keys as the settings give them."""

from __future__ import annotations

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from core.keyring import keyring
from core.secrets import SecretContext, open_sealed, seal

PLACE = SecretContext("t", "connections", "1", "token")


def _key(fill: int, length: int = 32) -> str:
    return base64.b64encode(bytes([fill]) * length).decode()


def test_the_settings_make_a_key_ring_and_a_second_key_takes_over(settings: Settings) -> None:
    settings.SALLYPORT_MASTER_KEYS = {"one": _key(1)}
    settings.SALLYPORT_PRIMARY_KEY = "one"
    record = seal("value", context=PLACE, keyring=keyring())

    settings.SALLYPORT_MASTER_KEYS = {"one": _key(1), "two": _key(2)}
    settings.SALLYPORT_PRIMARY_KEY = "two"
    assert keyring().primary_id == "two"
    assert open_sealed(record, context=PLACE, keyring=keyring()).reveal() == "value"


@pytest.mark.parametrize("keys", [{}, {"two": _key(2)}, {"one": _key(1, 16)}, {"one": "no base64 !"}, {"one": ""}])
def test_settings_without_a_usable_primary_key_are_refused(settings: Settings, keys: dict[str, str]) -> None:
    settings.SALLYPORT_MASTER_KEYS = keys
    settings.SALLYPORT_PRIMARY_KEY = "one"
    with pytest.raises(ImproperlyConfigured) as caught:
        keyring()
    assert not any(text and text in str(caught.value) for text in keys.values())
