"""One server for all tests of streams, tenants with keys, and executions to watch.

Imports stand inside: conftest files are read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from executions.models import Execution
    from tests.api.stream.serving import StreamServer

StartServer = Callable[..., "StreamServer"]


@pytest.fixture(scope="session")
def start_server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a server with more environment; all end before the database goes."""
    from tests.api.stream.serving import StreamServer

    started: list[StreamServer] = []

    def start(**environ: str) -> StreamServer:
        server = StreamServer(tmp_path_factory.mktemp("web") / "log", **environ)
        started.append(server)
        server.wait_ready()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def shared_server(start_server: StartServer, django_db_blocker: Any) -> StreamServer:
    with django_db_blocker.unblock():
        return start_server()


@pytest.fixture
def server(shared_server: StreamServer, transactional_db: None) -> StreamServer:
    return shared_server


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def stranger(transactional_db: None) -> Tenant:
    """Another tenant."""
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def key(tenant: Tenant) -> str:
    from tests.api.stream.watching import make_key

    return make_key(tenant).text


@pytest.fixture
def start(tenant: Tenant, settings: Any) -> Callable[..., Execution]:
    """Return a function that starts a sequence of ``steps`` fake steps; each turn of a worker carries on for one."""
    from tests.api.stream.watching import start_sequence

    settings.SALLYPORT_ALLOW_FAKE = True
    settings.SALLYPORT_SLICE = timedelta(0)
    return partial(start_sequence, tenant)
