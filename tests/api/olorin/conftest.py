"""Two tenants, callers, vendors' stand-ins with connections to them, and a worker in a thread.

Imports stand inside: conftest files are read before Django is set up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from connectors.models import Connection
    from executions.models import Execution
    from tests.api.olorin.vendors import Vendors
    from tests.api.s4e.calls import Api
    from tests.connectors.servers import Server


@pytest.fixture(autouse=True)
def _deployment(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback may be called, the secret is the contract's, and no wait between tries."""
    from api.olorin import translating

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    settings.SOAR_WEBHOOK_SECRET = "test-secret"
    monkeypatch.setattr(translating, "RETRY", replace(translating.RETRY, base=timedelta(0)))


@pytest.fixture
def tenant(db: None) -> Tenant:
    return _tenant("tenant_123")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return _tenant("tenant_999")


def _tenant(slug: str) -> Tenant:
    from django.utils import timezone

    from accounts.services import create_tenant

    return create_tenant(slug=slug, name=slug, now=timezone.now(), rate_tier="enterprise")


@pytest.fixture
def caller() -> Callable[..., Api]:
    """Return a function that makes a caller of a tenant with a role."""

    def make(tenant: Tenant, role: str = "admin") -> Api:
        from django.utils import timezone

        from accounts.services import create_user, issue_api_key
        from tests.api.s4e.calls import Api

        now, email = timezone.now(), f"{role}-{uuid4().hex[:6]}@example.org"
        owner = create_user(tenant=tenant, email=email, password=None, role=role, now=now)
        return Api(issue_api_key(tenant=tenant, owner=owner, name=f"key of {role}", now=now)[1])

    return make


@pytest.fixture
def api(tenant: Tenant, caller: Callable[..., Api]) -> Api:
    return caller(tenant)


@pytest.fixture
def viewer(tenant: Tenant, caller: Callable[..., Api]) -> Api:
    return caller(tenant, "viewer")


@pytest.fixture
def stranger(other_tenant: Tenant, caller: Callable[..., Api]) -> Api:
    """A caller of the other tenant."""
    return caller(other_tenant)


@pytest.fixture
def server() -> Iterator[Server]:
    from tests.api.olorin.vendors import vendors

    with vendors() as (running, _):
        yield running


@pytest.fixture
def far(server: Server) -> Vendors:
    """What the vendors were asked, and how they answer."""
    found: Vendors = server.state
    return found


@pytest.fixture
def connect(server: Server) -> Callable[..., Connection]:
    """Return a function that makes a tenant's connection of a toolkit."""

    def make(tenant: Tenant, toolkit: str, **more: Any) -> Connection:
        from django.utils import timezone

        from connectors.services import save_connection
        from tests.api.olorin.vendors import TOKEN

        url = f"{server.url}/api" if toolkit == "slack" else server.url
        given: dict[str, Any] = {"secrets": {"token": TOKEN}, "name": toolkit, **more}
        return save_connection(tenant=tenant, kind=toolkit, url=url, now=timezone.now(), **given)

    return make


@pytest.fixture
def stripe(tenant: Tenant, connect: Callable[..., Connection]) -> Connection:
    return connect(tenant, "stripe")


@pytest.fixture
def okta(tenant: Tenant, connect: Callable[..., Connection]) -> Connection:
    return connect(tenant, "okta")


@pytest.fixture
def store(tenant: Tenant) -> Callable[..., None]:
    """Return a function that stores an Olorin playbook: its actions, and what else is not as usual."""

    def make(*actions: Any, **more: Any) -> None:
        from django.utils import timezone

        from api.olorin import translating
        from core.actors import SYSTEM

        owner = more.pop("tenant", tenant)
        given = {"playbook_id": "fraud_response_critical", "name": "Fraud response", "actions": list(actions), **more}
        translating.store(tenant=owner, octets=json.dumps(given).encode(), actor=SYSTEM, now=timezone.now())

    return make


@pytest.fixture
def waiting(api: Api) -> str:
    """A playbook under the usual key that waits for an approval, so that its executions are running here."""
    from tests.api.s4e.calls import approval

    return api.made(name="Fraud response critical", steps=[approval("ask")])


@pytest.fixture
def start(api: Api) -> Callable[..., str]:
    """Return a function that starts the usual playbook over HTTP and gives the execution's id."""
    from tests.api.olorin.calls import EXECUTE, body, read

    return lambda **changes: str(read(api.post(EXECUTE, body(**changes)), 202)["execution_id"])


@pytest.fixture
def running(waiting: str, start: Callable[..., str]) -> str:
    """An execution that runs until somebody approves it."""
    return start()


@pytest.fixture
def finish(tenant: Tenant, run_to_end: Callable[..., Execution]) -> Callable[[str], Execution]:
    """Return a function that drives the execution of that public id until it is final or waits for somebody."""

    def go(execution: str) -> Execution:
        from api.olorin.ids import execution_number
        from executions.selectors import get_execution

        return run_to_end(get_execution(tenant, number=execution_number(execution)))

    return go


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """Carries out what is due, in a thread, as a worker and a sweep do."""
    from django.db import connection

    from tests.flows.driving import drain_once

    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                if not drain_once():
                    stop.wait(0.01)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join(10)


@pytest.fixture
def held(tenant: Tenant) -> Iterator[Any]:
    """A far side whose calls wait until they are let go, and an http connection to it."""
    from django.utils import timezone

    from connectors.services import save_connection
    from tests.api.s4e.held import Held
    from tests.connectors.servers import serving

    far_side = Held()
    with serving(far_side.answer) as running:
        save_connection(tenant=tenant, kind="http", name="held", url=running.url, now=timezone.now())
        yield far_side
        far_side.may_go.set()
