"""A proxy between Django and PostgreSQL that cuts a connection at one statement: before it arrives, or its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from django.db import connection, connections

When = Literal["before", "after"]

#: as psycopg ends a transaction: the message Query with one word
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
#: the server is ready again, outside of a transaction: what came before is durable
READY = b"Z\x00\x00\x00\x05I"


class CommitProxy:
    """Passes everything on, until the statement that it is armed for; then it cuts that connection, once."""

    def __init__(self, host: str, port: int) -> None:
        """``host``: a name, or the directory of a Unix socket."""
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._needle: bytes | None = None
        self._when: When = "before"
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, when: When, *, at: bytes = COMMIT) -> None:
        self._needle, self._when = at, when

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = self._connected()
                both = _Both(client, server)
                threading.Thread(target=self._to_server, args=(both,), daemon=True).start()
                threading.Thread(target=self._to_client, args=(both,), daemon=True).start()

    def _connected(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection(self._server)
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _to_server(self, both: _Both) -> None:
        for octets in both.read(both.client):
            if self._needle is not None and self._needle in octets:
                self._needle = None
                self.cuts += 1
                if self._when == "before":
                    break
                both.is_doomed = True
            both.server.sendall(octets)
        both.close()

    def _to_client(self, both: _Both) -> None:
        for octets in both.read(both.server):
            if not both.is_doomed:
                both.client.sendall(octets)
            elif READY in octets:
                break
        both.close()


class _Both:
    """The two ends of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.is_doomed = False

    def read(self, end: socket.socket) -> Iterator[bytes]:
        with suppress(OSError):
            while octets := end.recv(1 << 20):
                yield octets

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def through_proxy() -> Iterator[CommitProxy]:
    """Let every new connection of this process go through a proxy; this thread's is made anew."""
    settings = connections["default"].settings_dict
    host, port = settings["HOST"], settings["PORT"]
    proxy = CommitProxy(host or "127.0.0.1", int(port or 5432))
    connection.close()
    settings["HOST"], settings["PORT"] = "127.0.0.1", str(proxy.port)
    try:
        yield proxy
    finally:
        settings["HOST"], settings["PORT"] = host, port
        connection.close()
        proxy.close()
