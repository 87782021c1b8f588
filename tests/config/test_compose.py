"""docker-compose.yml: its form, and its very commands started by hand against an external PostgreSQL and Redis."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from config.home import ROOT
from tests.config import production

APPLICATIONS = ("install", "web", "worker", "sweep")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_the_file_has_the_form_of_a_compose_file(compose: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/config/compose.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_every_lasting_service_is_watched_and_started_again(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "install":
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name


def test_what_services_name_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= set(compose["volumes"])


def test_every_secret_comes_from_a_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|MASTER_KEY|TOKEN", name):
                assert name.endswith("_FILE"), name
    urls = [compose["services"]["web"]["environment"][name] for name in ("DATABASE_URL", "REDIS_URL")]
    assert not any(re.search(r":[^/@]+@", url) for url in urls)


def test_no_process_runs_as_root(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    for name, service in compose["services"].items():
        assert "build" in service or service["user"] not in ("", "root"), name


def test_image_and_compose_file_start_the_web_server_alike(compose: dict[str, Any]) -> None:
    command = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert command is not None
    assert json.loads(command.group(1)) == compose["services"]["web"]["command"]


def by_hand(words: list[str], *, port: int) -> list[str]:
    """Return a container's command for this machine: our Python, loopback, a free port. Nothing else changes."""
    told = {"python": [sys.executable], "uvicorn": [sys.executable, "-m", "uvicorn"]}
    local = [*told[words[0]], *words[1:]]
    return [{"0.0.0.0": "127.0.0.1", "8000": str(port)}.get(word, word) for word in local]


@contextmanager
def started(command: list[str], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ready_checks(port: int) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        return response.status, json.loads(response.read())["checks"]
    except OSError:
        return 0, {}
    finally:
        connection.close()


@pytest.mark.django_db
def test_the_commands_of_the_compose_file_bring_up_a_deployment(compose: dict[str, Any], tmp_path: Path) -> None:
    services, port = compose["services"], production.free_port()
    name, url = production.create_database()
    environ = production.environ_for(tmp_path, database_url=url)
    with ExitStack() as stack:
        stack.callback(production.drop_database, name)
        install = subprocess.run(
            by_hand(services["install"]["command"], port=port), cwd=ROOT, env=environ, capture_output=True, text=True
        )
        assert install.returncode == 0, install.stderr
        assert re.search(r"First token, shown only now: first_\S{40,}", install.stdout)
        assert "password" not in json.dumps([path.name for path in tmp_path.iterdir()])

        processes = {}
        for role in ("web", "worker", "sweep"):
            command = by_hand(services[role]["command"], port=port)
            processes[role] = stack.enter_context(started(command, environ, tmp_path / f"{role}.log"))
        deadline, status = time.monotonic() + 90, 0
        checks: dict[str, Any] = {}
        while status != 200:
            for role, process in processes.items():
                assert process.poll() is None, (tmp_path / f"{role}.log").read_text()[-3000:]
            assert time.monotonic() < deadline, checks
            status, checks = ready_checks(port)
            time.sleep(0.2)
        assert set(checks) == {"database", "broker", "channel_layer", "migrations", "sweep", "canary"}

        for role in ("web", "worker", "sweep"):
            probe = by_hand(services[role]["healthcheck"]["test"][1:], port=port)
            said = subprocess.run(probe, cwd=ROOT, env=environ, capture_output=True, text=True)
            assert (said.returncode, said.stdout) == (0, "well\n"), said.stderr

        processes["sweep"].send_signal(signal.SIGTERM)
        assert processes["sweep"].wait(20) == 0
