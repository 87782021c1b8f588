"""manage.py fins: the bridge between an MQTT broker and the database."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.selectors import tenant_for_command
from api.soarca.mqtt.bridge import Bridge
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Speak MQTT with fins: programs that register with the broker of MQTT_BROKER and carry out steps. Runs until "
        "it is ended; of several one works and the others stand by."
    )
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        if not settings.ENABLE_FINS or not settings.MQTT_BROKER:
            raise CommandError("Set MQTT_BROKER to the broker's address (and do not turn ENABLE_FINS off).")
        try:
            tenant = tenant_for_command(settings.MQTT_TENANT)
        except DomainError as error:
            raise CommandError(f"{error.message} Fins over MQTT act for the tenant of MQTT_TENANT.") from None
        asyncio.run(_run(Bridge(tenant.pk)))


async def _run(bridge: Bridge) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bridge.stop.set)
    await bridge.run()
