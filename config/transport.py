"""Celery's Redis transport, with one client for a channel.

kombu makes a client of redis-py for every command it sends; that costs more than the command, and three times a nudge
(https://github.com/celery/kombu, ``Channel.conn_or_acquire``). A client is no connection: it takes one of the pool for
each command, and several threads may share it.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """``_create_client`` without ``asynchronous`` gives the same client while the pool is the same."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # kombu has no types
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]  # kombu has no types
        return self._kept


class Transport(redis.Transport):
    Channel = Channel
