"""The first playbook of the README does what the README says, against the stand-in that `up` runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts import services as accounts
from accounts.models import Tenant
from config.demo_target import Handler, Ledger, Server
from config.home import ROOT
from connectors.services import save_connection
from executions.models import Execution
from tests.api import NOON
from tests.flows.starting import make_tenant

EXAMPLE = ROOT / "docs/examples/first-look.json"


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def demo(tenant: Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(Handler, "ledger", Ledger())
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings.SALLYPORT_DEMO_ENDPOINT = f"127.0.0.1:{server.server_address[1]}"
        url = f"http://{settings.SALLYPORT_DEMO_ENDPOINT}"
        save_connection(tenant=tenant, kind="http", name="demo", url=url, keyed=True, now=NOON)
        yield Handler.ledger
        server.shutdown()
        thread.join()


@pytest.fixture
def client(tenant: Tenant) -> Client:
    owner = accounts.create_user(tenant=tenant, email="o@acme.example", password=None, role="admin", now=NOON)
    _, key = accounts.issue_api_key(tenant=tenant, owner=owner, name="README", now=NOON)
    client = Client(headers={"X-API-Key": key})
    assert client.post("/api/playbooks", EXAMPLE.read_bytes(), content_type="application/json").status_code == 201
    return client


def run(client: Client, run_to_end: Callable[..., Execution], body: Any = None) -> dict[str, dict[str, Any]]:
    started = client.post("/api/playbooks/pb-first-look/run", body, content_type="application/json").json()["data"]
    run_to_end(Execution.objects.get(number=int(started["execution_id"].removeprefix("pexec-"))))
    path = f"/api/playbooks/executions/{started['execution_id']}"
    assert client.get(path).json()["data"]["status"] == "completed"
    return {step["step_id"]: step for step in client.get(f"{path}/steps").json()["data"]}


def test_the_playbook_is_printed_as_the_file_has_it() -> None:
    printed = re.search(r"^```json\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)

    assert printed is not None
    assert json.loads(printed.group(1)) == json.loads(EXAMPLE.read_text())


def test_a_bad_address_is_blocked(client: Client, demo: Ledger, run_to_end: Callable[..., Execution]) -> None:
    steps = run(client, run_to_end)

    assert [step["status"] for step in steps.values()] == ["completed"] * 3
    assert steps["block"]["output"]["status"] == 201
    assert [row["ip"] for row in demo.rows["block"]] == ["203.0.113.7"]


def test_an_address_of_good_repute_is_not(client: Client, demo: Ledger, run_to_end: Callable[..., Execution]) -> None:
    steps = run(client, run_to_end, {"parameters": {"address": "192.0.2.9"}})

    assert steps["block"]["status"] == "skipped"
    assert demo.rows["block"] == []
