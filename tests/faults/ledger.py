"""The effect ledger: an HTTP server outside the fault domain that counts what was asked for and what took effect.

    python3 -I -S tests/faults/ledger.py PORT FILE

``POST|PUT /{handling}/{mode}`` is one request for an effect. Handling says what the far side makes of our key:

    keyed    applied once for each Idempotency-Key; a later request gets the first answer again
    unkeyed  applied on every request; the key is what the body names
    slack    ``/slack/api/chat.postMessage``: applied on every request; ``conversations.history`` tells what was

Modes say how the far side behaves, whatever the handling; ``once:MODE`` behaves so for the first request of a step run
only. A Slack message names its mode in its text: ``mode=cut;``.

    ok          apply, answer 200                    slow:MS      apply, wait, answer 200
    cut         apply, close                         cut-before   close
    err-after   apply, answer 500                    err-before   answer 500
    no          answer 400                           429:S        answer 429 with Retry-After
    flaky:P:S   err-before with chance P, seed S     half         apply, headers, half a body, close
    huge        apply, 32 MiB of body                redirect     answer 302
    drip        apply, one octet of body a second    silent       apply, never answer

Every request is one JSON line of FILE, written before the answer and handed to the kernel; nothing is ever taken back.
Standard library only: it shares no code with what it judges.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

HUGE = 32 * 2**20
TRACED = {"execution": "x-execution", "step_run": "x-step-run", "attempt": "x-attempt", "fence": "x-fence"}
Json = dict[str, object]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Json

    @property
    def step_run(self) -> str:
        return self.headers.get("x-step-run", "")


@dataclass
class Answer:
    """``manner``: plain, cut (close without a word), half, huge, drip, silent."""

    status: int = 200
    body: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "plain"
    wait: float = 0.0


class Book:
    """What was received and what was applied. One writer, append-only."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines = 0
        self.applied: dict[str, int] = {}
        self.first_answers: dict[str, Json] = {}
        self.seen: dict[str, int] = {}  # step run -> requests
        self.visits: dict[tuple[str, str], list[str]] = {}  # (execution, step) -> its step runs
        self.messages: dict[str, list[Json]] = {}  # Slack channel -> messages
        self._chances: dict[str, random.Random] = {}

    def write(self, request: Request, **told: object) -> None:
        self._lines += 1
        traced = {name: request.headers.get(header, "") for name, header in TRACED.items()}
        line = {"line": self._lines, "at": time.monotonic(), "wall": time.time(), **traced, **told}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def visit(self, request: Request) -> int:
        """Number the step runs of one step of one execution in the order in which they first came."""
        runs = self.visits.setdefault((request.headers.get("x-execution", ""), str(request.body.get("step"))), [])
        if request.step_run not in runs:
            runs.append(request.step_run)
        return runs.index(request.step_run) + 1

    def happens(self, mode: str) -> bool:
        """Whether ``flaky:P:S`` fails this time: one series of chances for each seed."""
        _, chance, seed = mode.split(":")
        return self._chances.setdefault(seed, random.Random(seed)).random() < float(chance)


def answer(book: Book, request: Request) -> Answer:
    """Book one request and say what is answered."""
    parts = unquote(request.path).strip("/").split("/")
    if parts[0] == "health":
        return Answer(body={"lines": book._lines})
    if parts[0] == "slack":
        return _slack(book, request, parts[-1])
    if parts[0] not in ("keyed", "unkeyed") or len(parts) != 2:
        return Answer(404, {"error": "no such path"})
    handling, mode = parts
    key = request.headers.get("idempotency-key", "") or request.step_run
    number = book.visit(request)
    return _book(
        book, request, handling, mode, key, {"key": key, "visits": number, "more": "yes" if number < 3 else "no"}
    )


def _book(book: Book, request: Request, handling: str, mode: str, key: str, told: Json) -> Answer:
    mode = _mode_now(book, request, mode)
    applies = mode.split(":")[0] not in ("cut-before", "err-before", "no", "429", "redirect")
    is_again = handling == "keyed" and key in book.applied
    applied = applies and not is_again
    if applied:
        book.applied[key] = book.applied.get(key, 0) + 1
    book.write(request, handling=handling, mode=mode, key=key, applied=applied, number=book.applied.get(key, 0))
    if is_again:
        return Answer(body=book.first_answers[key])
    if applied:
        book.first_answers.setdefault(key, told)
    return _by_mode(mode, told)


def _mode_now(book: Book, request: Request, mode: str) -> str:
    book.seen[request.step_run] = book.seen.get(request.step_run, 0) + 1
    if mode.startswith("once:"):
        mode = mode[len("once:") :] if book.seen[request.step_run] == 1 else "ok"
    if mode.startswith("flaky:"):
        mode = "err-before" if book.happens(mode) else "ok"
    return mode


def _by_mode(mode: str, told: Json) -> Answer:
    word, _, figure = mode.partition(":")
    match word:
        case "slow":
            return Answer(body=told, wait=float(figure) / 1000)
        case "cut" | "cut-before":
            return Answer(manner="cut")
        case "err-after" | "err-before":
            return Answer(500, {"error": word})
        case "no":
            return Answer(400, {"error": "not like this"})
        case "429":
            return Answer(429, {"error": "too many"}, {"Retry-After": figure or "1"})
        case "redirect":
            return Answer(302, {}, {"Location": "/keyed/ok"})
        case "half" | "huge" | "drip" | "silent":
            return Answer(body=told, manner=word)
    return Answer(body=told)


def _slack(book: Book, request: Request, method: str) -> Answer:
    if method == "conversations.history":
        channel = request.query.get("channel", "")
        found = list(reversed(book.messages.get(channel, [])))
        return Answer(body={"ok": True, "messages": found, "has_more": False, "response_metadata": {"next_cursor": ""}})
    if method != "chat.postMessage":
        return Answer(body={"ok": False, "error": "unknown_method"})
    metadata = request.body.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    key = str(payload.get("key")) if isinstance(payload, dict) else ""
    mode = str(request.body.get("text", "")).partition("mode=")[2].partition(";")[0] or "ok"
    channel = str(request.body.get("channel"))
    before = book.applied.get(key, 0)
    ts = f"1714305660.{book._lines:06d}"
    told = _book(book, request, "slack", mode, key, {"ok": True, "channel": channel, "ts": ts})
    if book.applied.get(key, 0) > before:
        book.messages.setdefault(channel, []).append({"type": "message", "ts": ts, "metadata": metadata})
    return told


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    octets = await reader.readexactly(int(headers.get("content-length", "0")))
    try:
        body = json.loads(octets) if octets else {}
    except ValueError:
        body = {}
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers, body if isinstance(body, dict) else {})


async def _write(writer: asyncio.StreamWriter, found: Answer) -> bool:
    """Answer; return whether the connection goes on."""
    if found.wait:
        await asyncio.sleep(found.wait)
    if found.manner == "cut":
        return False
    if found.manner == "silent":
        await asyncio.sleep(3600)
    octets = json.dumps(found.body).encode()
    length = HUGE if found.manner == "huge" else len(octets)
    headers = {"Content-Type": "application/json", "Content-Length": str(length), **found.headers}
    head = [f"HTTP/1.1 {found.status} X", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*head, "", ""]).encode("latin-1"))
    if found.manner == "half":
        writer.write(octets[: len(octets) // 2])
    elif found.manner == "huge":
        for _ in range(HUGE // 65536):
            writer.write(b" " * 65536)
            await writer.drain()
    elif found.manner == "drip":
        for octet in octets:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(1)
    else:
        writer.write(octets)
    await writer.drain()
    return found.manner == "plain"


async def serve(port: int, path: str) -> None:
    book = Book(path)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                if not await _write(writer, answer(book, request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
