"""What a test client cannot show: octets on a socket of the server that is really used."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connection

from api.parsing import BODY_LIMIT

if TYPE_CHECKING:
    from accounts.models import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def _database_url() -> str:
    """Return the address of the tests' own database."""
    made = connection.settings_dict
    if str(made["HOST"]).startswith("/"):
        return f"postgresql://{made['USER']}@/{made['NAME']}?host={made['HOST']}"
    return f"postgresql://{made['USER']}:{made['PASSWORD']}@{made['HOST']}:{made['PORT']}/{made['NAME']}"


@pytest.fixture
def server(key: str) -> Iterator[str]:
    """Start the ASGI server on a Unix socket; return the socket's path."""
    environ = os.environ | {
        "DATABASE_URL": _database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "SALLYPORT_DEVELOPMENT": "1",
        "ALLOWED_HOSTS": "sallyport",
    }
    with TemporaryDirectory(prefix="sp-") as directory:
        path = str(Path(directory) / "api.sock")
        command = f"-m uvicorn config.asgi:application --uds {path} --lifespan off --no-access-log --no-proxy-headers"
        process = subprocess.Popen([sys.executable, *command.split()], env=environ, cwd=settings.BASE_DIR)
        try:
            _wait_for(path, process)
            yield path
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if Path(path).exists():
            return
        time.sleep(0.05)
    pytest.fail("the server did not start")


class Wire:
    """A connection that sends octets as they are and reads one answer at a time."""

    def __init__(self, path: str, key: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.key = key

    def send(self, line: str, *headers: str, body: bytes = b"") -> None:
        head = [line, "Host: sallyport", f"X-API-Key: {self.key}", *headers, "", ""]
        self.socket.sendall("\r\n".join(head).encode() + body)

    def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0")) if has_body else 0
        return status, headers, self.file.read(length)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server: str, key: str) -> Iterator[Wire]:
    made = Wire(server, key)
    yield made
    made.close()


def test_bodies_and_verbs_on_the_wire(wire: Wire, server: str, key: str, tenant: Tenant) -> None:
    """One server for all of it: starting it takes the most time."""
    _head_has_no_body(wire)
    _a_chunked_body_is_read(wire)
    _what_a_body_hides_is_no_second_request(wire)
    _strange_methods_are_405(wire)
    for headers in (
        (f"Content-Length: {BODY_LIMIT + 1}",),
        (f"Content-Length: {BODY_LIMIT + 1}", "Expect: 100-continue"),
    ):
        again = Wire(server, key)
        _a_body_too_large_is_refused_unread(again, *headers)
        again.close()


def _head_has_no_body(wire: Wire) -> None:
    wire.send("HEAD /api/playbooks HTTP/1.1")
    status, headers, _ = wire.answer(has_body=False)
    wire.send("GET /api/playbooks HTTP/1.1")
    second, _, body = wire.answer()

    assert (status, second) == (200, 200)
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["data"] == []


def _a_chunked_body_is_read(wire: Wire) -> None:
    chunked = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    wire.send("POST /api/playbooks HTTP/1.1", *chunked, body=b'2\r\n{"\r\n8\r\nname":1}\r\n0\r\n\r\n')
    status, _, body = wire.answer()

    assert status == 422
    assert "name" in {fault["path"] for fault in _error(body)["details"]}

    wire.send("POST /api/playbooks HTTP/1.1", *chunked, body=b"1\r\n[\r\n0\r\n\r\n")
    assert wire.answer()[0] == 400


def _what_a_body_hides_is_no_second_request(wire: Wire) -> None:
    hidden = b"POST /manual/continue HTTP/1.1\r\nHost: sallyport\r\n\r\n"
    wire.send("POST /api/playbooks HTTP/1.1", "Content-Type: text/plain", f"Content-Length: {len(hidden)}", body=hidden)
    status, _, body = wire.answer()
    wire.send("GET /api/playbooks HTTP/1.1")

    assert (status, _error(body)["code"]) == (415, "unsupported_media_type")
    assert wire.answer()[0] == 200


def _strange_methods_are_405(wire: Wire) -> None:
    wire.send("PURGE /api/playbooks HTTP/1.1")
    status, headers, body = wire.answer()

    assert (status, headers["allow"], _error(body)["code"]) == (405, "GET, HEAD, POST", "method_not_allowed")


def _a_body_too_large_is_refused_unread(wire: Wire, *headers: str) -> None:
    wire.send("POST /api/playbooks HTTP/1.1", "Content-Type: application/json", *headers)
    status, _, body = wire.answer()

    assert (status, _error(body)["code"]) == (413, "payload_too_large")


def _error(body: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(body)["error"]
    return error
