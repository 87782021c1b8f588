"""The bridge: one connection to the broker, messages in, commands out. Of several one works, the others stand by.

What is out stands in the rows, so a bridge that starts anew subscribes to what is registered, sends again what was not
acknowledged, and takes up results whenever they come.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar
from uuid import UUID, uuid4

import aiomqtt
from django.conf import settings
from django.db import Error, connection
from paho.mqtt.subscribeoptions import SubscribeOptions

from api.soarca.mqtt.handling import Handler, Publication
from api.soarca.waiting import announcements
from core import strict_json
from executions import nodes

log = logging.getLogger(__name__)

T = TypeVar("T")

ROLE: Final = "fins"
#: seconds between two looks at what is to be sent, where nothing called for one
LOOK_EVERY: Final = 1.0
#: seconds between two tries to reach the broker, and of a bridge that stands by
PAUSE: Final = 2.0
#: key of the lock that one bridge of a database holds
LOCK: Final = 0x66696E73
QOS: Final = 1


class Bridge:
    """Runs until ``stop`` is set. All that touches the database happens in one thread, one thing after the other."""

    def __init__(self, tenant_id: UUID) -> None:
        self.stop = asyncio.Event()
        self._tenant_id = tenant_id
        self._handler = Handler(tenant_id)
        self._topics: set[str] = set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fins")
        self._name = f"fins@{socket.gethostname()}:{os.getpid()}"

    async def run(self) -> None:
        beating = asyncio.create_task(self._beat())
        try:
            while not self.stop.is_set():
                try:
                    if await self._do(_take_lock):
                        await self._serve()
                except aiomqtt.MqttError as error:
                    log.warning("fins.broker_away", extra={"error": str(error)})
                except Error:
                    log.warning("fins.database_away", exc_info=True)
                    await self._do(_close)
                await self._pause(PAUSE)
        finally:
            beating.cancel()
            with suppress(Error):
                await self._do(lambda: nodes.forget(self._name))
            await self._do(_close)
            self._thread.shutdown()

    async def _serve(self) -> None:
        """Serve one connection to the broker, until it breaks or an end is asked for."""
        async with self._client() as client:
            self._topics = set()
            await self._subscribe(client)
            log.info("fins.connected", extra={"topics": len(self._topics)})
            working = [asyncio.create_task(work) for work in (self._receive(client), self._send_due(client))]
            ending = asyncio.create_task(self.stop.wait())
            await asyncio.wait([*working, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in (*working, ending):
                task.cancel()
            for ended in await asyncio.gather(*working, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            settings.MQTT_BROKER,
            settings.MQTT_PORT,
            identifier=f"sallyport-{uuid4()}",  # a broker disconnects the first of two with one id
            protocol=aiomqtt.ProtocolVersion.V5,
            username=settings.MQTT_USERNAME,
            password=settings.MQTT_PASSWORD,
            tls_params=aiomqtt.TLSParameters() if settings.MQTT_TLS else None,
        )

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Listen to what is registered; what we say ourselves does not come back."""
        wanted = await self._do(self._handler.topics)
        for topic in sorted(wanted - self._topics):
            await client.subscribe(topic, options=SubscribeOptions(qos=QOS, noLocal=True))
        for topic in sorted(self._topics - wanted):
            await client.unsubscribe(topic)
        self._topics = wanted

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            handle = partial(self._handler.handle, str(message.topic), bytes(message.payload or b""))
            answers = await self._do(handle)
            await self._subscribe(client)  # before the answer: from then on the fin counts on being heard
            await self._publish(client, answers)

    async def _send_due(self, client: aiomqtt.Client) -> None:
        async with announcements(self._tenant_id) as changed:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), LOOK_EVERY)
                changed.clear()
                await self._publish(client, await self._do(self._handler.due))
                await self._subscribe(client)

    async def _publish(self, client: aiomqtt.Client, publications: list[Publication]) -> None:
        for each in publications:
            await client.publish(each.topic, strict_json.dumps(dict(each.body)), qos=QOS)

    async def _beat(self) -> None:
        while True:
            with suppress(Error):
                await self._do(lambda: nodes.beat(self._name, role=ROLE, slots=0))
            await asyncio.sleep(nodes.BEAT)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _close() -> None:
    connection.close()  # looked up in the thread whose connection it is


def _take_lock() -> bool:
    """Become the one bridge; the lock is the connection's, so it goes with a connection that breaks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
        return bool(cursor.fetchone()[0])
