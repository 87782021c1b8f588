"""Two tenants with callers of several roles, a way to start workflows, and a ledger behind the connection ``ledger``.

Imports stand inside: conftest files are read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.api.native.calls import Api
    from tests.connectors.servers import Server
    from tests.flows.starting import Start

MakeCaller = Callable[..., "Api"]


@pytest.fixture(autouse=True)
def _own_windows(settings: Any) -> None:
    """No test counts in another one's limits."""
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"


@pytest.fixture(scope="module", autouse=True)
def _only_legal_moves(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    from tests.executions.legal_moves import unwatch_moves, watch_moves

    with django_db_blocker.unblock():
        watch_moves()
    yield
    with django_db_blocker.unblock():
        unwatch_moves()


@pytest.fixture
def tenant(db: None) -> Tenant:
    return _tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return _tenant()


def _tenant() -> Tenant:
    from django.utils import timezone

    from accounts.services import create_tenant

    slug = f"t-{uuid4().hex[:8]}"
    return create_tenant(slug=slug, name=slug, now=timezone.now(), rate_tier="enterprise")


@pytest.fixture
def caller() -> MakeCaller:
    """Return a function that makes a caller of a tenant with a role."""
    from tests.api.native.calls import caller_of

    return caller_of


@pytest.fixture
def api(tenant: Tenant, caller: MakeCaller) -> Api:
    return caller(tenant)


@pytest.fixture
def viewer(tenant: Tenant, caller: MakeCaller) -> Api:
    return caller(tenant, "viewer")


@pytest.fixture
def stranger(other_tenant: Tenant, caller: MakeCaller) -> Api:
    """An administrator of another tenant."""
    return caller(other_tenant)


@pytest.fixture
def start(tenant: Tenant, settings: Any) -> Start:
    from tests.flows.starting import start_workflow

    settings.SALLYPORT_ALLOW_FAKE = True
    return partial(start_workflow, tenant)


@pytest.fixture
def effects(tenant: Tenant, settings: Any) -> Iterator[Server]:
    """A ledger on loopback, behind the connection ``ledger``, whose calls may not be repeated."""
    from tests.connectors.servers import ledger
    from tests.executions.acting import connect

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with ledger() as server:
        connect(tenant, server, keyed=False)
        yield server
