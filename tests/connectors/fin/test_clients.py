"""The clients of SOARCA's own project work unmodified: its library for MQTT, its package for HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Tenant
from config.home import ROOT
from connectors.fin.models import Fin, FinCapability
from tests.api.soarca.calls import STEP, Api, Json, read
from tests.api.soarca.fin_calls import ECHO, HOST, let_fins_in, out, start_for_fin, step_run
from tests.api.stream.serving import StreamServer, database_url
from tests.connectors.fin.broker import wait_until
from tests.connectors.fin.running import LONG, interpreter_with, own_python, running
from tests.connectors.fin.test_mqtt import begin, ends, playbook

pytestmark = pytest.mark.django_db(transaction=True)

RECORDED = Path(__file__).parent / "clients" / "recorded.json"


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The web server as it runs in production."""
    with django_db_blocker.unblock():
        started = StreamServer(tmp_path_factory.mktemp("web") / "log", FIN_LONG_POLL_TIMEOUT_SECONDS="2")
    started.wait_ready()
    yield started
    started.stop()


@pytest.fixture
def bridge_process(tenant: Tenant, broker: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``manage.py fins`` as a process of its own, for the tenant."""
    told = {
        "DATABASE_URL": database_url(), "SALLYPORT_NO_BOOTSTRAP": "1", "MQTT_BROKER": "127.0.0.1",
        "MQTT_PORT": str(broker), "MQTT_TENANT": tenant.slug,
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "manage.py"), "fins"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **told}, stdout=log, stderr=log)
    try:
        wait_until(lambda: "fins.connected" in (tmp_path / "log").read_text(), within=LONG)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_soarca_fin_library_1_0_0(
    api: Api, broker: int, bridge_process: subprocess.Popen[bytes], request: pytest.FixtureRequest
) -> None:
    python = interpreter_with(
        own_python(), module="soarca_fin_python_library", requirement="soarca-fin-library==1.0.0",
        cache=request.config.cache.mkdir("fin-library") if request.config.cache else Path(),
    )  # fmt: skip
    capability = f"capability-{uuid4()}"
    with running(python, "pong.py", str(broker), f"fin-{uuid4()}", capability) as client:
        wait_until(FinCapability.objects.filter(key=capability).exists, within=LONG)
        waiting = [begin(api, playbook(capability, commands=[command])) for command in COMMANDS]
        for each, command in zip(waiting, COMMANDS, strict=True):
            client.says(f"told {command.get('command', '')}".strip())
            ends(each, "completed")
            expected = f"pong to {command.get('command', '')}"
            assert out(api, each.execution)["__out__"]["value"] == expected
        # Its own way to unregister sends nothing but an acknowledgement, so it is told to go.
        [shown] = read(api.get("/fin"))["fins"]
        assert api.delete(f"/fin/{shown['fin_id']}").status_code == 204
        wait_until(lambda: not Fin.objects.exists(), within=LONG)
        client.says("left")
        assert client.process.wait(LONG) == 0
    bridge_process.send_signal(signal.SIGTERM)
    assert bridge_process.wait(LONG) == 0


COMMANDS: list[Json] = [{"type": "bash", "command": "ping"}, {"type": "bash"}]


@pytest.mark.slow
def test_soarca_fin_0_1_0(tenant: Tenant, api: Api, server: StreamServer, request: pytest.FixtureRequest) -> None:
    base = os.environ.get("SALLYPORT_TEST_PYTHON312")
    if not base:
        pytest.skip("SALLYPORT_TEST_PYTHON312 names no Python 3.12; what the client sends is replayed instead")
    python = interpreter_with(
        base, module="soarca_fin", requirement="soarca-fin==0.1.0",
        cache=request.config.cache.mkdir("fin-package") if request.config.cache else Path(),
    )  # fmt: skip
    url = f"http://127.0.0.1:{server.port}"
    with running(python, "echo.py", url, let_fins_in(tenant), ECHO) as client:
        client.says("registered")
        waiting = start_for_fin(api, targets=[HOST])
        client.says("told echo nobody")
        ends(waiting, "completed")
        assert out(api, waiting.execution)["__out__"]["value"] == "echo of echo nobody, logged on as soar"
        client.tell_to_leave()
        client.says("left")
        assert client.process.wait(LONG) == 0
    assert read(api.get("/fin")) == {"fins": []}


def test_what_soarca_fin_0_1_0_sends_is_answered_as_it_expects(tenant: Tenant, api: Api, server: StreamServer) -> None:
    """Its requests as recorded, octet for octet, but for ids and tokens."""
    told = {"{token}": let_fins_in(tenant)}
    send = _sender(server.port, told)
    recorded: list[Json] = json.loads(RECORDED.read_text())
    by_name = {each["name"]: each for each in recorded}

    status, registered = send(by_name["register"])
    assert status == 201
    told |= {"{fin_token}": registered["fin_token"], "{fin_id}": registered["fin_id"]}
    assert send(by_name["poll"]) == (204, None)
    waiting = start_for_fin(api, targets=[HOST])
    status, polled = send(by_name["poll"])
    assert status == 200
    job = polled["job"]
    assert (job["step_id"], job["execution_id"]) == (STEP, waiting.execution)
    told["{job_id}"] = job["job_id"]
    assert send(by_name["progress"]) == (200, {"action": ""})
    assert send(by_name["keep"]) == (200, {"action": ""})
    assert send(by_name["result"]) == (204, None)
    ends(waiting, "completed")
    assert step_run(waiting.execution).status == "completed"
    assert send(by_name["unregister"]) == (204, None)
    assert send(by_name["poll"])[0] == 401


def _sender(port: int, told: dict[str, str]) -> Callable[[Json], tuple[int, Any]]:
    def filled(text: str) -> str:
        for name, value in told.items():
            text = text.replace(name, value)
        return text

    def send(recorded: Json) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        body = filled(recorded["body"]).encode()
        headers = {name: filled(value) for name, value in recorded["headers"].items()}
        connection.request(recorded["method"], filled(recorded["path"]), body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if content else None

    return send
