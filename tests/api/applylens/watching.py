"""A client of the event stream, on a socket of its own."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.api.stream.serving import LONG, StreamServer


@dataclass(frozen=True)
class Frame:
    event: str
    data: dict[str, Any]
    id: int | None
    #: the names of its lines
    order: tuple[str, ...]


class Stream:
    """``status`` and ``headers`` of the answer; ``read`` gives frame after frame."""

    def __init__(self, server: StreamServer, key: str | None = None, path: str = "/api/sse/events", **headers: str):
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG)
        given = {"Accept": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            given["Authorization"] = f"Bearer {key}"
        self._connection.request("GET", path, headers=given)
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._response.close()
        self._connection.close()

    def read(self) -> Frame | None:
        """Return the next frame, None at the end of the stream."""
        lines: list[tuple[str, str]] = []
        while True:
            try:
                line = self._response.readline().decode()
            except http.client.IncompleteRead:
                return None
            if not line:
                return None
            if line == "\n":
                break
            name, _, value = line.rstrip("\n").partition(": ")
            lines.append((name, value))
        found = dict(lines)
        number = int(found["id"]) if "id" in found else None
        return Frame(found["event"], json.loads(found["data"]), number, tuple(name for name, _ in lines))

    def next(self, event: str | None = None) -> Frame:
        """Return the next frame (of that event, if one is named) that is no heartbeat."""
        while True:
            frame = self.read()
            assert frame is not None, "the stream ended"
            if frame.event == event or (event is None and frame.event != "heartbeat"):
                return frame

    def body(self) -> dict[str, Any]:
        """Return the answer of a stream that was refused."""
        found: dict[str, Any] = json.loads(self._response.read())
        return found
