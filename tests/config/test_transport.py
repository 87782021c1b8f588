"""The broker's transport: one client of redis-py for a channel."""

from __future__ import annotations

from typing import Any

from celery import current_app

from config.transport import Transport


def test_a_channel_keeps_its_client_for_as_long_as_its_pool() -> None:
    with current_app.connection_for_read() as connection:
        assert isinstance(connection.transport, Transport)
        channel: Any = connection.default_channel
        first = channel._create_client()

        assert channel._create_client() is first
        assert channel._create_client(asynchronous=True) is not first
        channel._pool = None  # as kombu does where a connection is lost
        assert channel._create_client() is not first
