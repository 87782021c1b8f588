"""Short ways to make connections, calls and plans, and to carry them out as a worker does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Part, Parts, Trust
from connectors.dispatch import Call, Destination, Plan, Result, carry_out
from connectors.models import Connection

NOON = datetime(2026, 4, 28, 12, 0, tzinfo=UTC)
KEY = "01890a5d-ac96-774b-bcce-b302099a8057"

Connect = Callable[..., Connection]
Run = Callable[..., Result]


def carry(planned: Plan, **more: Any) -> Result:
    """Carry a plan out with the arguments that a test does not care about filled in."""
    arguments: dict[str, Any] = {
        "fence": 1,
        "headers": {},
        "before_send": None,
        "time_limit": timedelta(seconds=20),
        "cancelled": threading.Event(),
    }
    return carry_out(planned, **{**arguments, **more})


def parts(*texts: str | Part) -> Parts:
    """Author text, with ``outside(...)`` values between."""
    return tuple(Part(text) if isinstance(text, str) else text for text in texts)


def outside(text: str, type: str = "string", name: str = "__x__") -> Part:
    return Part(text, Trust.OUTSIDE, type, name)


def http_call(*line: str | Part, target: Destination | None = None, **more: Any) -> Call:
    """A CACAO http-api call; ``headers`` name to texts, ``content`` parts."""
    headers: Mapping[str, Any] = more.pop("headers", {})
    arguments = {"command": parts(*line), "content": more.pop("content", None), "headers": headers}
    return Call(key=more.pop("key", KEY), arguments=arguments, command_type="http-api", target=target, **more)


def target(url: str | None = None, *, name: str = "target", **more: Any) -> Destination:
    address = {"url": [url]} if url else more.pop("address", None)
    properties = {"port": more.pop("port", None), **({"address": address} if address else {})}
    return Destination(id="http-api--1", type="http-api", name=name, properties=properties, **more)


def operation(name: str, arguments: Mapping[str, Any], *, key: str = KEY, connection: str | None = None) -> Call:
    return Call(key=key, arguments=arguments, operation=name, connection=connection)
