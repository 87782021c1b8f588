from __future__ import annotations

from typing import Any

import pytest
from django.test import Client


def _start(client: Client, key: str | None, body: bytes = b'{"a":1}', **headers: str) -> Any:
    sent = headers | ({"idempotency-key": key} if key is not None else {})
    return client.post("/sample/verb", body, content_type="application/json", headers=sent)


def test_the_same_key_and_body_have_the_same_digests(client: Client) -> None:
    assert _start(client, "k1").json() == _start(client, "k1").json()


def test_another_key_or_body_has_another_digest(client: Client) -> None:
    first = _start(client, "k1").json()

    assert _start(client, "k2").json()["key"] != first["key"]
    assert _start(client, "k1", b'{"a":2}').json()["digest"] != first["digest"]
    assert _start(client, "k1", b'{"a":2}').json()["key"] == first["key"]


def test_no_key_is_no_key(client: Client) -> None:
    assert _start(client, None).json()["key"] is None


def test_an_empty_body_is_an_empty_object(client: Client) -> None:
    assert _start(client, "k", b"").json()["digest"] == _start(client, "k", b"{}").json()["digest"]


def test_the_key_itself_is_not_kept(client: Client) -> None:
    assert "caller-secret" not in _start(client, "caller-secret").json()["key"]


@pytest.mark.parametrize("word", ["", "a b", "x" * 256, "kéy", "a\x7fb"])
def test_a_key_that_is_no_word_is_refused(client: Client, word: str) -> None:
    assert _start(client, word).status_code == 400
