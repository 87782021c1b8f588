"""A real mosquitto on loopback, a bridge, and a fin that speaks MQTT as the protocol says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from uuid import UUID, uuid4

import paho.mqtt.client as mqtt
import pytest
from django.db import connection
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from api.soarca.mqtt.bridge import Bridge
from tests.config.production import free_port

Json = dict[str, Any]
#: how long a test waits for what must come; reaching it fails the test
LONG = 30.0
#: how long it is seen that something does not come
BRIEF = 1.5


@contextmanager
def mosquitto(directory: Path) -> Iterator[int]:
    """Start a broker and give its port; skip the test where none is installed."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("no mosquitto is installed (Debian: mosquitto)")
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false"]
    lines += ["user root"] if os.geteuid() == 0 else []
    (directory / "conf").write_text("\n".join(lines) + "\n")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(directory / "conf")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + LONG
        while not _listens(port):
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def bridge(tenant_id: UUID, port: int) -> Iterator[None]:
    """Run a bridge in a thread, as its process does, until the block ends."""
    made: Queue[tuple[asyncio.AbstractEventLoop, Bridge]] = Queue()

    async def serve() -> None:
        own = Bridge(tenant_id)
        made.put((asyncio.get_running_loop(), own))
        await own.run()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="bridge")
    thread.start()
    loop, running = made.get(timeout=LONG)
    try:
        _wait_for_subscriber(port)
        yield
    finally:
        loop.call_soon_threadsafe(running.stop.set)
        thread.join(LONG)
        assert not thread.is_alive()


def _wait_for_subscriber(port: int) -> None:
    """Wait until somebody listens on ``soarca``: a message that is none is refused."""
    probe = MqttFin(port, "probe")
    try:
        probe.listen("soarca")
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            probe.publish("soarca", {"type": "nonsense", "message_id": str(uuid4())})
            if probe.find(lambda _, body: body.get("type") == "nack", within=0.3) is not None:
                return
    finally:
        probe.close()
    pytest.fail("the bridge does not listen")


def wait_until(what: Callable[[], bool], *, within: float = LONG) -> None:
    until = time.monotonic() + within
    pause = threading.Event()
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        pause.wait(0.05)
    connection.close()


class MqttFin:
    """One client of the broker. ``received`` holds what came, in order, until it is found."""

    def __init__(self, port: int, name: str) -> None:
        self.name, self.port = name, port
        self._arrived: Queue[tuple[str, Json]] = Queue()
        self._kept: list[tuple[str, Json]] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{name}-{uuid4()}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._subscribed = threading.Semaphore(0)
        self.is_disconnected = threading.Event()
        self._client.on_message = lambda _, __, message: self._arrived.put((message.topic, json.loads(message.payload)))
        self._client.on_subscribe = lambda *_: self._subscribed.release()
        self._client.on_disconnect = lambda *_: self.is_disconnected.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def listen(self, *topics: str) -> None:
        for topic in topics:
            self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))
            assert self._subscribed.acquire(timeout=LONG)

    def publish(self, topic: str, body: Json | bytes) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._client.publish(topic, payload, qos=1).wait_for_publish(LONG)

    def find(self, matches: Callable[[str, Json], bool], *, within: float = LONG) -> tuple[str, Json] | None:
        """Return the first message that fits, also one that came before; None when the time is over."""
        until = time.monotonic() + within
        while True:
            for found in self._kept:
                if matches(*found):
                    self._kept.remove(found)
                    return found
            try:
                self._kept.append(self._arrived.get(timeout=max(until - time.monotonic(), 0)))
            except Empty:
                return None

    def expect(self, kind: str, message_id: str | None = None, *, topic: str | None = None) -> Json:
        found = self.find(
            lambda on, body: body["type"] == kind and message_id in (None, body["message_id"]) and topic in (None, on)
        )
        assert found is not None, f"no {kind} came"
        return found[1]

    def hears_nothing_of(self, kind: str, *, within: float = BRIEF) -> bool:
        return self.find(lambda _, body: body["type"] == kind, within=within) is None

    def register(self, *capabilities: str, message_id: str | None = None) -> str:
        """Send a registration, and return its message id."""
        message_id = message_id or str(uuid4())
        self.listen(self.name, *capabilities)
        self.publish("soarca", registration(self.name, message_id, *capabilities))
        return message_id

    def ack(self, capability: str, command: Json) -> None:
        self.publish(capability, {"type": "ack", "message_id": command["message_id"]})

    def answer(self, capability: str, command: Json, state: str = "success", **changes: Any) -> str:
        """Send the result of a command, and return its message id."""
        body = result(command, state, **changes)
        self.publish(capability, body)
        found: str = body["message_id"]
        return found

    def close(self) -> None:
        """End at once, without a word, as a process that is killed."""
        self._client.loop_stop()
        sock = self._client.socket()
        if sock is not None:
            sock.close()


def registration(fin_id: str, message_id: str, *capabilities: str) -> Json:
    """As the library writes it."""
    return {
        "type": "register",
        "message_id": message_id,
        "fin_id": fin_id,
        "protocol_version": "0.0.1",
        "security": {"version": "0.0.1", "channel_security": "plaintext"},
        "capabilities": [
            {
                "capability_id": capability,
                "type": "action",
                "name": "pong",
                "version": "0.0.1",
                "step": {
                    "action--1": {
                        "type": "action", "name": "ping", "description": "d", "external_references": [],
                        "command": "ping", "target": capability,
                    }
                },
                "agent": {"soarca-fin--1": {"type": "soarca-fin", "name": f"soarca-fin-pong-{capability}"}},
            }
            for capability in capabilities
        ],
        "meta": {"timestamp": "2026-01-01T00:00:00+00:00", "sender_id": fin_id},
    }  # fmt: skip


def result(command: Json, state: str, **changes: Any) -> Json:
    variables = changes.pop("variables", {})
    return {
        "type": "result",
        "message_id": str(uuid4()),
        "result": {"state": state, "context": command["command"]["context"], "variables": variables},
        "meta": {"timestamp": "2026-01-01T00:00:00+00:00", "sender_id": "fin"},
        **changes,
    }


def six(name: str, value: str, **changes: Any) -> Json:
    return {
        "type": "string", "name": name, "description": "", "value": value, "constant": False, "external": False,
        **changes,
    }  # fmt: skip
