"""Small real servers on loopback: a ledger, and stand-ins for Slack and Jira.

Each is a context manager that yields a running server: ``url``, ``requests`` (every request received, in order) and
``answers``, a queue of replies that are given before the server's own.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Received:
    """One request as it came. ``target`` is the raw request target; header names are in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    header_list: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is answered. ``manner``: plain; cut (close instead); half (headers and half a body, then close);
    silent (nothing, until the client goes); drip (one octet every 50 ms); endless (chunks until the client goes)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: str = "plain"


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


Handler = Callable[[Received], Reply]


class Server:
    """A server in a thread of its own. ``state`` is the stand-in's, for a second look at what was done."""

    def __init__(self, handler: Handler, state: Any = None, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.answers: deque[Reply] = deque()
        self.connections = 0
        self.state = state
        self._handler = handler
        self._wanted_port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, received: Received) -> Reply:
        """What the server itself would answer, for a server that stands before it."""
        return self._handler(received)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self._wanted_port, limit=2**24)
        )
        self.port = int(server.sockets[0].getsockname()[1])
        self._started.set()
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (received := await _read(reader)) is not None:
                self.requests.append(received)
                reply = self.answers.popleft() if self.answers else self._handler(received)
                if not await _answer(writer, reply, received.method):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, pairs, body)


async def _answer(writer: asyncio.StreamWriter, reply: Reply, method: str) -> bool:
    """Write the reply; return whether the connection goes on."""
    if reply.manner == "cut":
        return False
    if reply.manner == "silent":
        await asyncio.sleep(60)
        return False
    length = "Transfer-Encoding: chunked" if reply.manner == "endless" else f"Content-Length: {len(reply.body)}"
    lines = [f"HTTP/1.1 {reply.status} X", length, *(f"{name}: {value}" for name, value in reply.headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    if method != "HEAD":
        await _write_body(writer, reply)
    await writer.drain()
    return reply.manner == "plain"


async def _write_body(writer: asyncio.StreamWriter, reply: Reply) -> None:
    match reply.manner:
        case "half":
            writer.write(reply.body[: len(reply.body) // 2])
        case "drip":
            for octet in reply.body:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(0.05)
        case "endless":
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        case _:
            writer.write(reply.body)


@contextmanager
def serving(handler: Handler, state: Any = None, *, port: int = 0) -> Iterator[Server]:
    server = Server(handler, state, port)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def echo() -> Iterator[Server]:
    """Answers every request with what it received, as JSON."""

    def handle(received: Received) -> Reply:
        shown = {
            "method": received.method,
            "target": received.target,
            "headers": dict(received.headers),
            "body": received.body.decode("utf-8", "replace"),
        }
        return json_reply(shown)

    with serving(handle) as server:
        yield server


@dataclass
class LedgerState:
    """``applied``: effects by key, in the order of their first application; keyed requests apply once."""

    applied: dict[str, int] = field(default_factory=dict)


@contextmanager
def ledger() -> Iterator[Server]:
    """Counts effects. ``POST /effect/keyed`` applies once for each Idempotency-Key, ``/effect/unkeyed`` every time;
    ``POST /effect/cut`` applies and closes; ``/effect/err-after`` applies, then 500; ``/effect/err-before`` only 500.
    ``GET /effect/<key>`` says 200 or 404."""
    state = LedgerState()

    def handle(received: Received) -> Reply:
        mode = unquote(received.path.rpartition("/")[2])
        if received.method == "GET":
            found = mode in state.applied
            return json_reply({"key": mode, "applied": state.applied.get(mode, 0)}, 200 if found else 404)
        key = received.headers.get("idempotency-key", "")
        if mode == "err-before":
            return json_reply({"error": "before"}, 500)
        if mode == "unkeyed" or key not in state.applied:
            state.applied[key] = state.applied.get(key, 0) + 1
        if mode == "cut":
            return Reply(manner="cut")
        if mode == "err-after":
            return json_reply({"error": "after"}, 500)
        return json_reply({"key": key, "applied": state.applied[key]})

    with serving(handle, state) as server:
        yield server


@dataclass
class SlackState:
    messages: list[dict[str, Any]] = field(default_factory=list)
    channels: dict[str, str] = field(
        default_factory=lambda: {"security-alerts": "C0SECALERT", "incidents": "C0INCIDENT"}
    )


@contextmanager
def slack(token: str = "xoxb-stand-in-token", *, page: int = 100) -> Iterator[Server]:
    """``chat.postMessage``, ``conversations.history`` and ``conversations.list`` below ``/api``."""
    state = SlackState()

    def channel_of(given: str) -> str | None:
        return state.channels.get(given.lstrip("#"), given if given in state.channels.values() else None)

    def post(received: Received) -> Reply:
        body = received.json
        channel = channel_of(body["channel"])
        if channel is None:
            return json_reply({"ok": False, "error": "channel_not_found"})
        ts = f"1714305660.{len(state.messages) + 1234:06d}"
        state.messages.append({**body, "channel": channel, "ts": ts, "type": "message"})
        return json_reply({"ok": True, "channel": channel, "ts": ts, "message": {"text": body["text"]}})

    def history(received: Received) -> Reply:
        channel = received.query.get("channel")
        if channel not in state.channels.values():
            return json_reply({"ok": False, "error": "channel_not_found"})
        found = [message for message in reversed(state.messages) if message["channel"] == channel]
        if received.query.get("include_all_metadata") != "true":
            found = [{name: value for name, value in message.items() if name != "metadata"} for message in found]
        return paged(received, "messages", found)

    def paged(received: Received, name: str, found: list[Any]) -> Reply:
        start = int(received.query.get("cursor") or 0)
        more = start + page < len(found)
        cursor = {"next_cursor": str(start + page) if more else ""}
        return json_reply(
            {"ok": True, name: found[start : start + page], "has_more": more, "response_metadata": cursor}
        )

    def handle(received: Received) -> Reply:
        if received.headers.get("authorization") != f"Bearer {token}":
            return json_reply({"ok": False, "error": "invalid_auth"})
        match received.method, received.path:
            case "POST", "/api/chat.postMessage":
                return post(received)
            case "GET", "/api/conversations.history":
                return history(received)
            case "GET", "/api/conversations.list":
                listed = [{"id": identifier, "name": name} for name, identifier in state.channels.items()]
                return paged(received, "channels", listed)
        return json_reply({"ok": False, "error": "unknown_method"}, 404)

    with serving(handle, state) as server:
        yield server


@dataclass
class JiraState:
    """``is_indexed``: whether the search already shows new issues."""

    issues: list[dict[str, Any]] = field(default_factory=list)
    is_indexed: bool = True


@contextmanager
def jira(authorization: str = "Bearer stand-in-token-of-jira") -> Iterator[Server]:
    """``POST /rest/api/3/issue`` and ``POST /rest/api/3/search/jql``."""
    state = JiraState()

    def create(received: Received) -> Reply:
        fields = received.json["fields"]
        number = 1234 + len(state.issues)
        issue = {"id": str(10000 + number), "key": f"{fields['project']['key']}-{number}", "fields": fields}
        state.issues.append(issue)
        link = f"http://{received.headers['host']}/rest/api/3/issue/{issue['id']}"
        return json_reply({"id": issue["id"], "key": issue["key"], "self": link}, 201)

    def search(received: Received) -> Reply:
        wanted = received.json["jql"].partition('"')[2].rpartition('"')[0]
        found = [issue for issue in state.issues if wanted in issue["fields"]["labels"]] if state.is_indexed else []
        return json_reply({"issues": found, "isLast": True})

    def handle(received: Received) -> Reply:
        if received.headers.get("authorization") != authorization:
            return json_reply({"errorMessages": ["not logged on"]}, 401)
        match received.method, received.path:
            case "POST", "/rest/api/3/issue":
                return create(received)
            case "POST", "/rest/api/3/search/jql":
                return search(received)
        return json_reply({"errorMessages": ["no such path"]}, 404)

    with serving(handle, state) as server:
        yield server
