"""A far side that does not answer until it is told to, so that a step can be looked at while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.api.s4e.calls import Json
from tests.connectors.servers import Received, Reply, json_reply


class Held:
    """``step`` calls it; inside ``while_running`` that call is on its way."""

    def __init__(self) -> None:
        self.has_come = threading.Event()
        self.may_go = threading.Event()

    def answer(self, received: Received) -> Reply:
        self.has_come.set()
        self.may_go.wait(30)
        return json_reply({"ok": True})

    def step(self, id: str, **more: Any) -> Json:
        parameters = {"connection": "held", "method": "GET", "path": "/held"}
        return {"id": id, "type": "action", "action_ref": "act-http-request", "parameters": parameters, **more}

    @contextmanager
    def while_running(self, drive: Callable[[], object]) -> Iterator[None]:
        """Run ``drive`` in a thread until the call has come in; after the block, let it go and wait for the end."""

        def run() -> None:
            try:
                drive()
            finally:
                connection.close()

        worker = threading.Thread(target=run)
        worker.start()
        try:
            assert self.has_come.wait(20)
            yield
        finally:
            self.may_go.set()
            worker.join(30)
