"""Limits count in Redis: what one process lets in, another one has counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.test import Client

from accounts.models import Tenant
from tests.api.stream.serving import StreamServer

Ask = Callable[..., httpx.Response]


@pytest.fixture
def here(transactional_db: None, key: str) -> Client:
    """A caller of this process."""
    return Client(headers={"authorization": f"Bearer {key}"}, raise_request_exception=False)


@pytest.fixture
def there(here: Client, key: str, settings: Any, tmp_path: Path) -> Iterator[Ask]:
    """The same caller of the web process as in production, on the same database and the same counters."""
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"
    server = StreamServer(tmp_path / "log", SALLYPORT_REDIS_PREFIX=settings.SALLYPORT_REDIS_PREFIX)
    try:
        server.wait_ready()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {key}"}, timeout=20
        ) as client:
            yield client.request
    finally:
        server.stop()


def left(answer: Any) -> int:
    assert answer.status_code == 200, answer.content
    return int(answer.headers["X-RateLimit-Remaining"])


def test_all_042_two_processes_share_one_count(here: Client, there: Ask, tenant: Tenant) -> None:
    for path in ("/api/incidents", "/api/composio/connections?tenant_id=acme"):
        first = left(here.get(path))
        assert [left(there("GET", path)), left(here.get(path)), left(there("GET", path))] == [
            first - 1, first - 2, first - 3,
        ]  # fmt: skip

    body = {"playbook_id": "nope", "tenant_id": "acme"}
    execute = "/api/soar/playbooks/execute"
    assert [here.post(execute, body, content_type="application/json").status_code for _ in range(10)] == [404] * 10
    refused = there("POST", execute, json=body)
    assert (refused.status_code, refused.json().keys()) == (429, {"detail"})
    assert int(refused.headers["Retry-After"]) > 0


def test_all_042_two_processes_share_the_count_of_an_incident(here: Client, there: Ask, tenant: Tenant) -> None:
    from api.applylens.action_views import DRY_RUNS_AN_HOUR
    from tests.api.applylens.acting import CLEAR, path
    from tests.api.applylens.calls import make

    incident = make(tenant)
    dry_run = path(incident, "/dry-run")
    answers = [here.post(dry_run, CLEAR, content_type="application/json") for _ in range(DRY_RUNS_AN_HOUR - 1)]
    assert {answer.status_code for answer in answers} == {200}

    assert [there("POST", dry_run, json=CLEAR).status_code for _ in range(2)] == [200, 429]
    other = path(make(tenant, "INV_other"), "/dry-run")
    assert there("POST", other, json=CLEAR).status_code == 200
