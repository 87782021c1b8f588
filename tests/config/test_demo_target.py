"""The demonstration target, over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from config.demo_target import LARGEST_BODY, Handler, Ledger, Server


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Handler, "ledger", Ledger())
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def call(
    port: int, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, path, octets, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


def test_an_address_of_the_bad_neighbourhood_has_a_bad_name(port: int) -> None:
    assert call(port, "GET", "/reputation/203.0.113.7")[1]["malicious"] is True
    assert call(port, "GET", "/reputation/198.51.100.7")[1]["malicious"] is False
    assert call(port, "GET", "/reputation/nonsense")[0] == 400


def test_a_repeated_key_gets_the_first_answer_and_changes_nothing(port: int) -> None:
    first = call(port, "POST", "/block", {"ip": "203.0.113.7"}, {"Idempotency-Key": "k1"})
    again = call(port, "POST", "/block", {"ip": "203.0.113.7"}, {"Idempotency-Key": "k1"})
    other = call(port, "POST", "/block", {"ip": "203.0.113.8"}, {"Idempotency-Key": "k2"})

    assert first[:2] == again[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert other[1]["id"] != first[1]["id"]
    assert len(call(port, "GET", "/block")[1]["block"]) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b" " * (LARGEST_BODY + 1)])
def test_a_body_that_is_no_small_object_is_refused(port: int, body: bytes) -> None:
    assert call(port, "POST", "/tickets", body)[0] == 400


def test_other_paths_do_not_exist(port: int) -> None:
    assert call(port, "GET", "/")[0] == 404
    assert call(port, "POST", "/reputation/203.0.113.7", {})[0] == 404
