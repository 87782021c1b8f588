"""A TCP proxy that breaks what goes through it: latency, resets, silence, and commits whose answer is lost.

It runs in a thread of the suite, on a loop of its own. Every method may be called from any thread.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

#: codes of start-up packets that carry no type octet. Source: PostgreSQL, Message Formats.
_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102


class Proxy:
    """Forwards connections on ``port`` to ``target``, a port or a Unix socket, and does to them what it is told."""

    def __init__(self, target: int | str, *, host: str = "127.0.0.1") -> None:
        self.target, self.host = target, host
        self.latency = 0.0  # seconds, each way, for each piece
        self.reset_chance = 0.0  # for each piece
        self.is_refusing = False
        self._is_open = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._random = Random(str(target))
        self._pairs: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{target}", daemon=True)
        self._thread.start()
        self._started.wait()

    # --- what can be done to a link ---

    def stop_flow(self, *directions: str) -> None:
        """Let nothing through any more ("up": to the server, "down": from it), and close nothing: a partition."""
        for way in directions or ("up", "down"):
            self._loop.call_soon_threadsafe(self._is_open[way].clear)

    def let_flow(self) -> None:
        self.is_refusing = False
        for event in self._is_open.values():
            self._loop.call_soon_threadsafe(event.set)

    def reset(self) -> None:
        """Cut every connection there is."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def refuse(self) -> None:
        """Cut every connection, and every new one at once, until ``let_flow``."""
        self.is_refusing = True
        self.reset()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    # --- the loop ---

    def link(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> Link:
        return Link(client, server)

    def _cut_all(self) -> None:
        for pair in list(self._pairs):
            pair.cut()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        for event in self._is_open.values():
            event.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, self.host, 0))
        self.port = int(server.sockets[0].getsockname()[1])
        self._started.set()
        self._loop.run_forever()
        self._loop.set_exception_handler(lambda *_: None)  # what is cancelled here is no news
        server.close()
        self._cut_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await self._far()
        except OSError:
            writer.transport.abort()
            return
        pair = self.link(writer, far_writer)
        self._pairs.add(pair)
        ways = [
            asyncio.create_task(self._carry(pair, reader, far_writer, "up")),
            asyncio.create_task(self._carry(pair, far_reader, writer, "down")),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        pair.cut()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self._pairs.discard(pair)

    async def _far(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _carry(
        self, pair: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        try:
            while piece := await pair.read(reader, direction):
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._is_open[direction].wait()
                if self._random.random() < self.reset_chance or not pair.may_pass(piece, direction):
                    return
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)

    async def read(self, reader: asyncio.StreamReader, direction: str) -> bytes:
        return await reader.read(65536)

    def may_pass(self, piece: bytes, direction: str) -> bool:
        return True

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@dataclass
class Cuts:
    """Which commits lose their answer. ``done`` counts (kind of transaction, before or after the commit)."""

    chance: float = 0.0
    done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def side(self, kind: str, random: Random) -> str:
        """Choose "before" or "after" for this commit, or "" to leave it alone; what was cut often is cut less often."""
        before, after = self.done[kind, "before"], self.done[kind, "after"]
        if random.random() >= self.chance / (1 + (before + after) / 10):
            return ""
        return "before" if before <= after else "after"

    @property
    def total(self) -> int:
        return sum(self.done.values())


class PostgresProxy(Proxy):
    """Cuts connections at commits: before COMMIT is forwarded, or when the server has committed and says so.

    ``kind_of(application, statements)`` names the kind of a transaction from the application_name of the connection and
    the SQL seen in it; "" is left alone. A statement outside a transaction is a transaction of its own.
    """

    def __init__(self, target: int | str, kind_of: Callable[[str, list[str]], str]) -> None:
        self.cuts = Cuts()
        self.kind_of = kind_of
        self.random = Random(7)
        super().__init__(target)

    def link(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> Link:
        return PostgresLink(client, server, self)


class PostgresLink(Link):
    """Follows one connection message by message. Source: PostgreSQL, Message Formats and Message Flow."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, proxy: PostgresProxy) -> None:
        super().__init__(client, server)
        self._proxy = proxy
        self._is_started = False
        self._may_be_plain = False  # one octet answers a request for encryption
        self._application = ""
        self._prepared: dict[bytes, str] = {}
        self._statements: list[str] = []
        self._is_in_transaction = False
        self._doomed = ""  # the kind whose "done" shall not reach the client

    async def read(self, reader: asyncio.StreamReader, direction: str) -> bytes:
        if direction == "up" and not self._is_started:
            head = await reader.readexactly(4)
            return head + await reader.readexactly(struct.unpack("!I", head)[0] - 4)
        if direction == "down" and self._may_be_plain:
            self._may_be_plain = False
            return await reader.readexactly(1)
        head = await reader.readexactly(5)
        return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)

    def may_pass(self, piece: bytes, direction: str) -> bool:
        if direction == "up" and not self._is_started:
            self._start(piece)
            return True
        return self._up(piece) if direction == "up" else self._down(piece)

    def _start(self, piece: bytes) -> None:
        code = struct.unpack("!I", piece[4:8])[0]
        if code in (_SSL, _GSS):
            self._may_be_plain = True
            return
        self._is_started = True
        if code != _CANCEL:
            words = piece[8:].split(b"\0")
            self._application = dict(zip(words[::2], words[1::2], strict=False)).get(b"application_name", b"").decode()

    def _up(self, piece: bytes) -> bool:
        match piece[:1]:
            case b"Q":
                return self._begins(piece[5:].rstrip(b"\0").decode("utf-8", "replace"))
            case b"P":
                name, sql, _ = piece[5:].split(b"\0", 2)
                self._prepared[name] = sql.decode("utf-8", "replace")
            case b"B":
                _, name, _ = piece[5:].split(b"\0", 2)
                return self._begins(self._prepared.get(name, ""))
        return True

    def _begins(self, sql: str) -> bool:
        """A statement is on its way up; return False to cut the connection instead."""
        word = sql.strip().upper()
        if word.startswith("BEGIN"):
            self._is_in_transaction, self._statements = True, []
            return True
        if word == "ROLLBACK":
            self._is_in_transaction, self._statements = False, []
            return True
        if word != "COMMIT":
            self._statements.append(sql)
        if self._is_in_transaction and word != "COMMIT":
            return True
        kind = self._proxy.kind_of(self._application, self._statements)
        self._is_in_transaction, self._statements = False, []
        side = self._proxy.cuts.side(kind, self._proxy.random) if kind else ""
        if side == "before":
            self._proxy.cuts.done[kind, "before"] += 1
            return False
        self._doomed = kind if side == "after" else ""
        return True

    def _down(self, piece: bytes) -> bool:
        """Something is on its way down; return False to cut the connection in its place."""
        if not self._doomed:
            return True
        kind, rest = piece[:1], piece[5:]
        if kind == b"E" or (kind == b"C" and rest.startswith(b"ROLLBACK")):
            self._doomed = ""  # nothing was committed
            return True
        # "Ready for query", outside a transaction, is what says that a single statement is committed.
        if not (kind == b"C" and rest.startswith(b"COMMIT")) and not (kind == b"Z" and rest[:1] == b"I"):
            return True
        self._proxy.cuts.done[self._doomed, "after"] += 1
        return False
