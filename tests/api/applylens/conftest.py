"""Two tenants and their callers. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant, User
    from tests.api.applylens.calls import Api
    from tests.api.stream.serving import StreamServer
    from tests.connectors.servers import Server


@pytest.fixture(autouse=True)
def _own_windows(settings: Any) -> None:
    """No test counts in another one's limits."""
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"


@pytest.fixture
def tenant(db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def engineer(tenant: Tenant) -> User:
    from django.utils import timezone

    from accounts.services import create_user
    from tests.api.applylens.calls import ENGINEER

    return create_user(tenant=tenant, email=ENGINEER, password=None, role="soc_lead", now=timezone.now())


@pytest.fixture
def api(tenant: Tenant) -> Api:
    from tests.api.applylens.calls import caller_of

    return caller_of(tenant, "analyst")


@pytest.fixture
def viewer(tenant: Tenant) -> Api:
    from tests.api.applylens.calls import caller_of

    return caller_of(tenant, "viewer")


@pytest.fixture
def stranger(other_tenant: Tenant) -> Api:
    """An analyst of another tenant."""
    from tests.api.applylens.calls import caller_of

    return caller_of(other_tenant, "analyst")


@pytest.fixture
def planner(tenant: Tenant, settings: Any) -> Iterator[Server]:
    """A planner that serves v2 at 10 percent, and the tenant's connection to it."""
    from tests.api.applylens.acting import connect
    from tests.connectors.planner.service import TOKEN, planner_service

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with planner_service() as server:
        connect(tenant, "planner", server.url, secrets={"token": TOKEN})
        yield server


@pytest.fixture
def search(tenant: Tenant, settings: Any) -> Iterator[Server]:
    """A search cluster with the index ``emails``, and the tenant's connection to it."""
    from tests.api.applylens.acting import cluster

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with cluster(tenant) as server:
        yield server


@pytest.fixture
def worker(tenant: Tenant) -> Iterator[None]:
    from tests.api.applylens.acting import working

    with working():
        yield


@pytest.fixture(scope="session")
def stream_server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StreamServer]:
    """The web process as in production, but that it waits a second for slow clients and in silence."""
    from tests.api.stream.serving import StreamServer

    with django_db_blocker.unblock():
        server = StreamServer(tmp_path_factory.mktemp("web") / "log", SALLYPORT_STREAM_HEARTBEAT="1")
    server.wait_ready()
    yield server
    server.stop()
