"""Probes. ``live``: this process answers. ``ready``: everything that a run needs answers.

Open to anyone, so they say which part is missing and never why: the reason is in the log.
"""

from __future__ import annotations

import asyncio
import logging
import pkgutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from channels.layers import get_channel_layer
from django.apps import apps
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from config import canary
from executions import nodes

LAYER_GOOD_FOR = 10.0  # seconds until the channel layer is tried again
logger = logging.getLogger(__name__)


class NotReady(Exception):
    """A part does not answer as it should. The message is shown to anyone."""


@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when every check is well, else 503. Each: {"ok": bool, "message": str, "milliseconds": int}."""
    checks = {name: _look(name, check) for name, check in CHECKS.items()}
    is_ready = all(found["ok"] for found in checks.values())
    body = {"status": "ready" if is_ready else "not_ready", "checks": checks}
    return JsonResponse(body, status=200 if is_ready else 503)


def _look(name: str, check: Callable[[], str]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        ok, message = True, check()
    except NotReady as error:
        ok, message = False, str(error)
    except Exception as error:  # whatever is broken, the probe answers
        logger.warning("Health check %s: %s", name, error)
        ok, message = False, "does not answer"
    return {"ok": ok, "message": message, "milliseconds": round((time.monotonic() - started) * 1000)}


def check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


def check_broker() -> str:
    canary.redis().ping()
    return "answers"


class _Remembered:
    """A check whose good answer holds for a while; None: for as long as this process runs."""

    def __init__(self, check: Callable[[], str], seconds: float | None) -> None:
        self._check, self._seconds = check, seconds
        self._lock = threading.Lock()
        self._good_until = 0.0
        self._answer = ""

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._answer = self._check()
                self._good_until = time.monotonic() + self._seconds if self._seconds else float("inf")
            return self._answer


def check_channel_layer() -> str:
    asyncio.run(asyncio.wait_for(_send_to_ourselves(), 2))
    return "a message came back"


async def _send_to_ourselves() -> None:
    layer = get_channel_layer()
    if layer is None:
        raise NotReady("is not configured")
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "health.probe"})
    await layer.receive(channel)


def check_migrations() -> str:
    missing = {
        (app.label, found.name)
        for app in apps.get_app_configs()
        for found in pkgutil.iter_modules([str(Path(app.path) / "migrations")])
    } - MigrationRecorder(connection).applied_migrations().keys()
    if missing:
        raise NotReady(f"{len(missing)} not applied: run `manage.py migrate`")
    return "all applied"


def check_sweep() -> str:
    age = nodes.sweep_age()
    if age is None:
        raise NotReady("has never been seen: start `manage.py sweep`")
    if age > nodes.SWEEP_LATE:
        raise NotReady(f"was last seen {age.total_seconds():.0f} s ago: start `manage.py sweep`")
    return f"seen {age.total_seconds():.1f} s ago"


def check_canary() -> str:
    answer = canary.listen()
    if answer is None:
        raise NotReady("no worker answers the doorbell: start one")
    return f"answered in {answer.took * 1000:.0f} ms"


CHECKS: dict[str, Callable[[], str]] = {
    "database": check_database,
    "broker": check_broker,
    "channel_layer": _Remembered(check_channel_layer, LAYER_GOOD_FOR),
    "migrations": _Remembered(check_migrations, None),
    "sweep": check_sweep,
    "canary": check_canary,
}
