"""osmem-server: an OpenSearch in memory, as a process of its own."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from osmem_server import OsmemError, OsmemServer


@contextmanager
def cluster() -> Iterator[str]:
    """Start one with the index ``emails``; yield its address. Skips where no binary is made for this machine."""
    try:
        server = OsmemServer.start(japanese=False)
    except OsmemError as error:
        pytest.skip(f"no osmem-server here: {error}")
    with server:
        ask("PUT", f"{server.url}/emails", {"mappings": {"properties": {"subject": {"type": "text"}}}})
        ask("PUT", f"{server.url}/emails/_doc/1?refresh=true", {"subject": "hello"})
        yield server.url


def ask(method: str, url: str, body: Any = None) -> Any:
    """A second look at the server, by another client than ours."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
