"""The app that carries the management commands and the canary task."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

#: A process that is frozen inside a transaction keeps its locks no longer than this.
IDLE_IN_TRANSACTION = "30s"


class PlatformConfig(AppConfig):
    name = "config"
    label = "platform"

    def ready(self) -> None:
        # Whoever publishes a doorbell asks Celery for its current app, which is this one from here on.
        from config import celery  # noqa: F401

        connection_created.connect(_end_frozen_transactions)


def _end_frozen_transactions(connection: Any, **_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (IDLE_IN_TRANSACTION,))
