"""A worker beside the request that waits for it, far sides to act on, and short forms of the calls about actions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from connectors.services import save_connection
from incidents.action_models import ActionRun
from tests.api.applylens.calls import Api, Json, read
from tests.connectors.servers import Received, Reply, Server, json_reply, serving
from tests.flows.driving import drain_once

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import Tenant
    from incidents.models import Incident

CLEAR: Json = {"action_type": "clear_cache", "params": {"index_name": "emails"}}
INCREMENTAL: Json = {
    "action_type": "rerun_dbt",
    "params": {"task_id": "task-123", "models": ["inbox_emails"], "full_refresh": False},
}


def body(action_type: str, **params: Any) -> Json:
    return {"action_type": action_type, "params": params}


def path(incident: Incident | int, tail: str = "") -> str:
    number = incident if isinstance(incident, int) else incident.pk
    return f"/api/playbooks/incidents/{number}/actions{tail}"


def dry_run(api: Api, incident: Incident | int, given: Any) -> HttpResponse:
    return api.post(path(incident, "/dry-run"), given)


def execute(api: Api, incident: Incident | int, given: Any, **headers: str) -> HttpResponse:
    return api.post(path(incident, "/execute"), given, **headers)


def roll_back(api: Api, incident: Incident | int, action: int, given: Any = None, **headers: str) -> HttpResponse:
    return api.post(path(incident, f"/{action}/rollback"), given, **headers)


def history(api: Api, incident: Incident | int) -> list[Json]:
    found: list[Json] = read(api.get(path(incident, "/history")))["actions"]
    return found


@contextmanager
def working() -> Iterator[None]:
    """Do what workers and the sweep do, in a thread of its own, until the block ends."""
    stop, faults = threading.Event(), []

    def work() -> None:
        try:
            while not stop.is_set():
                if not drain_once():
                    stop.wait(0.02)
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
    assert faults == []


@contextmanager
def cluster(tenant: Tenant) -> Iterator[Server]:
    """A stand-in for a search cluster, and the tenant's connection to it."""

    def answer(received: Received) -> Reply:
        assert received.path == "/emails/_cache/clear"
        return json_reply({"_shards": {"total": 2, "successful": 2, "failed": 0}})

    with serving(answer) as server:
        connect(tenant, "opensearch", server.url)
        yield server


def connect(tenant: Tenant, kind: str, url: str, **more: Any) -> None:
    save_connection(tenant=tenant, kind=kind, name=kind, url=url, now=timezone.now(), **more)


def stored(incident: Incident, action_type: str, **more: Any) -> ActionRun:
    """A row as an execution leaves it."""
    now = timezone.now()
    known: Json = {
        "tenant_id": incident.tenant_id,
        "params": {},
        "status": "success",
        "actual_duration": 1.5,
        "created_at": now,
        "completed_at": now,
    }
    return ActionRun.objects.create(incident=incident, action_type=action_type, **(known | more))
