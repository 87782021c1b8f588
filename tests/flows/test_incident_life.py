"""The whole life of an incident, over sockets: made, streamed, remedied by real workers, undone, resolved, closed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts.models import Tenant
from tests.api.applylens.acting import connect
from tests.api.stream.serving import LONG
from tests.api.stream.watching import make_key
from tests.connectors.planner.service import TOKEN, planner_service
from tests.connectors.servers import Server
from tests.flows.deployed import deployed, with_dbt

Frame = tuple[str, dict[str, Any], int | None]


class Listener:
    """Reads a stream of server-sent events in a thread of its own."""

    def __init__(self, url: str, key: str) -> None:
        self.frames: list[Frame] = []
        self._came = threading.Condition()
        self._client = httpx.Client(timeout=httpx.Timeout(10, read=120), trust_env=False)
        request = self._client.build_request("GET", url, headers={"Authorization": f"Bearer {key}"})
        self._answer = self._client.send(request, stream=True)
        assert self._answer.status_code == 200
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                    continue
                with self._came:
                    number = int(fields["id"]) if "id" in fields else None
                    self.frames.append((fields["event"], json.loads(fields["data"]), number))
                    self._came.notify_all()
                fields = {}
        except httpx.HTTPError:
            pass  # the test is over

    def wait_for(self, count: int) -> list[Frame]:
        """Return the first frames but for heartbeats, once so many have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self._told()) >= count, LONG), self.frames
        return self._told()[:count]

    def _told(self) -> list[Frame]:
        return [frame for frame in self.frames if frame[0] != "heartbeat"]

    def close(self) -> None:
        self._answer.close()
        self._client.close()
        self._thread.join(10)


@pytest.fixture
def planner(tenant: Tenant, settings: Any) -> Iterator[Server]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with planner_service() as server:
        connect(tenant, "planner", server.url, secrets={"token": TOKEN})
        yield server


@pytest.mark.slow
def test_the_life_of_an_incident(tenant: Tenant, planner: Server, tmp_path: Path) -> None:
    key = make_key(tenant, role="soc_lead").text
    with deployed(tmp_path / "web.log", **with_dbt(tenant, tmp_path / "project")) as root:
        _live(root, key)
    assert (tmp_path / "project" / "warehouse.duckdb").exists()
    assert planner.state.percents["v2"] == 10


def _live(root: str, key: str) -> None:
    listener = Listener(f"{root}/api/sse/events", key)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=root, headers=headers, timeout=240, trust_env=False) as client:

        def post(path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
            answer = client.post(path, json=body or {})
            assert answer.status_code == status, answer.text
            found: dict[str, Any] = answer.json()
            return found

        made = {"kind": "invariant", "key": "INV_data_freshness_inbox", "summary": "Stale inbox", "severity": "sev1"}
        incident = post("/api/incidents", made, 201)["id"]
        own, actions = f"/api/incidents/{incident}", f"/api/playbooks/incidents/{incident}/actions"
        post(f"{own}/acknowledge", {"notes": "looking"})

        rerun = {"action_type": "rerun_dbt", "params": {"task_id": "task-123", "models": ["inbox_emails"]}}
        assert post(f"{actions}/dry-run", rerun)["status"] == "dry_run_success"
        first = post(f"{actions}/execute", rerun)
        assert first["details"] == {"models_run": ["inbox_emails"], "exit_code": 0}
        post(f"{actions}/{first['action_id']}/rollback", status=400)

        split = {"action_type": "adjust_canary_split", "params": {"version": "v2", "target_percent": 0}}
        second = post(f"{actions}/execute", split)
        email = client.get(own).json()["acknowledged_by"]
        third = post(f"{actions}/{second['action_id']}/rollback", {"approved_by": email})
        for verb in ("mitigate", "resolve", "close"):
            post(f"{own}/{verb}")
        post(f"{actions}/execute", rerun, 400)

        detail = client.get(own).json()
        rows = client.get(f"{actions}/history").json()["actions"]
        frames = listener.wait_for(9)
        listener.close()

    done = [first["action_id"], second["action_id"], third["action_id"]]
    assert (detail["status"], detail["metadata"]["action_history"]) == ("closed", done)
    assert [row["id"] for row in rows] == [rows[0]["id"], *done]
    assert [(name, data.get("change") or data.get("action_id")) for name, data, _ in frames] == [
        ("connected", None),
        ("incident_created", None),
        ("incident_updated", "acknowledged"),
        *(("action_executed", action) for action in done),
        *(("incident_updated", change) for change in ("mitigated", "resolved", "closed")),
    ]
    numbers = [number for _, _, number in frames[1:] if number is not None]
    assert len(numbers) == 8
    assert numbers == sorted(set(numbers))
