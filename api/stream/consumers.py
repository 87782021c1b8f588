"""The life of a stream: handshake, then three tasks side by side; the first to end says why the stream ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest

from accounts.models import Tenant
from api.stream.announcements import Announcements
from api.stream.closing import Closed, Code, Gone
from api.stream.cursor import Cursor, execution_cursor, tenant_cursor
from api.stream.frames import error_frame
from api.stream.handshake import look_again, request_of, visitor_of
from api.stream.places import Place
from api.stream.socket import Receive, Scope, Send, Socket
from api.stream.threads import in_thread
from core import strict_json

log = logging.getLogger(__name__)

#: A stream reads the rows at least so often, so that a lost announcement only delays it.
LOOK_EVERY: Final = timedelta(seconds=3)
#: A revoked credential ends its streams within 5 s (SEC-37).
CHECK_EVERY: Final = timedelta(seconds=2)

OpenCursor = Callable[[Tenant, HttpRequest, dict[str, Any]], Cursor]


async def execution_stream(scope: Scope, receive: Receive, send: Send) -> None:
    await _serve(scope, Socket(receive, send), execution_cursor)


async def tenant_stream(scope: Scope, receive: Receive, send: Send) -> None:
    await _serve(scope, Socket(receive, send), tenant_cursor)


async def no_stream(scope: Scope, receive: Receive, send: Send) -> None:
    socket = Socket(receive, send)
    await socket.opened()
    await socket.close(Closed(Code.NOT_FOUND, "There is no such stream."))


async def _serve(scope: Scope, socket: Socket, open_cursor: OpenCursor) -> None:
    try:
        await socket.opened()
        await _open(scope, socket, open_cursor)
    except Gone:
        pass
    except Closed as closed:
        log.info("%s closed with %d: %s", scope["path"], closed.code, closed.reason)
        await socket.close(closed)
    except (OperationalError, InterfaceError) as error:
        log.warning("A stream ends, the database does not answer: %s", type(error).__name__)
        await socket.close(Closed(Code.TRY_LATER, "The database does not answer. Resume from the last seq."))
    except Exception:
        log.exception("A stream broke.")
        await socket.close(Closed(Code.BROKEN, "Something went wrong on our side. Resume from the last seq."))


async def _open(scope: Scope, socket: Socket, open_cursor: OpenCursor) -> None:
    request = request_of(scope)
    visitor = await in_thread(lambda: visitor_of(request))
    cursor = await in_thread(lambda: open_cursor(visitor.tenant, request, scope["url_route"]["kwargs"]))
    place = Place(visitor)
    try:
        await in_thread(place.take)

        def still_good() -> None:
            look_again(visitor)
            place.keep()

        # Announcements are heard before the rows are read: what is committed in between is announced.
        async with Announcements(cursor.group) as announcements:
            await in_thread(cursor.begin)
            await socket.accept()
            await _first_of(_send_events(socket, cursor, announcements), _answer(socket), _check(still_good))
    finally:
        await asyncio.shield(in_thread(place.leave))


async def _first_of(*lives: Coroutine[Any, Any, None]) -> None:
    """Run all side by side until the first ends, and raise what it raises. All of them run until they raise."""
    tasks = [asyncio.create_task(life) for life in lives]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # In the order given, so that an end of the execution is told even if the client leaves at that moment.
        next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_events(socket: Socket, cursor: Cursor, announcements: Announcements) -> None:
    while True:
        announcements.changed.clear()
        batch = await in_thread(cursor.read)
        for frame in batch.frames:
            await socket.send(frame)
        if batch.ending:
            raise batch.ending
        if not batch.has_more:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                    await announcements.changed.wait()


async def _answer(socket: Socket) -> None:
    """Answer what the client sends: a stream takes no commands, so every frame gets an error, and only its sender."""
    while True:
        text = await socket.receive()
        if text is None:
            await socket.send(error_frame("not_text", "Frames are text; this stream takes none."))
            continue
        try:
            strict_json.loads(text.encode())
        except strict_json.JsonInvalid as error:
            await socket.send(error_frame("bad_json", error.message))
        else:
            await socket.send(error_frame("no_commands", "This stream takes no commands."))


async def _check(still_good: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(CHECK_EVERY.total_seconds())
        await in_thread(still_good)
