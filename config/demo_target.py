"""A small far side to watch playbooks act on: reputation of addresses, a block list, tickets.

`manage.py up` runs it as its own process on a free port of loopback. It keeps what it did in memory. Writes
honour the header ``Idempotency-Key``: a repeated key gets the first answer again and changes nothing, with
``Idempotent-Replayed: true``. Standard library only; runs with ``-I -S``.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGEST_BODY = 64 * 1024
#: the networks of RFC 5737: 203.0.113.0/24 plays the bad neighbourhood, everything else is of good repute
BAD = ipaddress.ip_network("203.0.113.0/24")


class Ledger:
    """What was written, by collection, and the answer each key was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {"block": [], "tickets": [], "messages": []}

    def write(self, collection: str, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any], bool]:
        """Return (status, row, whether the key was known)."""
        with self._lock:
            if key is not None and key in self._answers:
                return (*self._answers[key], True)
            row = {"id": f"{collection}-{len(self.rows[collection]) + 1}", **body, "status": "done"}
            self.rows[collection].append(row)
            if key is not None:
                self._answers[key] = (201, row)
            return 201, row, False


class Handler(BaseHTTPRequestHandler):
    """GET /health, /reputation/ADDRESS, /block, /tickets, /messages; POST /block, /tickets, /messages."""

    protocol_version = "HTTP/1.1"
    server_version = "demo"
    sys_version = ""
    ledger = Ledger()

    def do_GET(self) -> None:
        first, _, rest = self.path.split("?")[0].strip("/").partition("/")
        if first == "health" and not rest:
            self._answer(200, {"status": "ok"})
        elif first == "reputation" and rest:
            self._answer(*_reputation(rest))
        elif first in self.ledger.rows and not rest:
            self._answer(200, {first: self.ledger.rows[first]})
        else:
            self._answer(404, {"error": "There is no such path."})

    def do_POST(self) -> None:
        collection = self.path.split("?")[0].strip("/")
        body = self._body()
        if collection not in self.ledger.rows:
            self._answer(404, {"error": "There is no such path."})
        elif body is None:
            self._answer(400, {"error": f"Send a JSON object of at most {LARGEST_BODY} octets."})
        else:
            status, row, known = self.ledger.write(collection, body, self.headers.get("Idempotency-Key"))
            self._answer(status, row, {"Idempotent-Replayed": "true"} if known else {})

    def log_message(self, format: str, *arguments: Any) -> None:
        sys.stderr.write(f"{self.address_string()} {format % arguments}\n")

    def _body(self) -> dict[str, Any] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            return None
        try:
            found = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        octets = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)


def _reputation(text: str) -> tuple[int, dict[str, Any]]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 400, {"error": "This is no IP address."}
    is_bad = address in BAD
    return 200, {"ip": str(address), "score": 92 if is_bad else 3, "malicious": is_bad, "source": "demo"}


class Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    Server(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()


if __name__ == "__main__":
    main()
