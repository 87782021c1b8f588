"""The app that carries the management commands and the canary task."""

from __future__ import annotations

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "config"
    label = "platform"

    def ready(self) -> None:
        # Whoever publishes a doorbell asks Celery for its current app, which is this one from here on.
        from config import celery  # noqa: F401
