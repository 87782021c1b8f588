"""Two tenants, their connections, and a deployment that lists loopback, where the test servers stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_django import Settings

    from accounts.models import Tenant
    from connectors.dispatch import Call, Result
    from connectors.models import Connection
    from tests.connectors.calls import Connect, Run


@pytest.fixture(autouse=True)
def _loopback(settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def tenant(db: None) -> Tenant:
    from accounts.services import create_tenant
    from tests.connectors.calls import NOON

    return create_tenant(slug="one", name="One", now=NOON)


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    from accounts.services import create_tenant
    from tests.connectors.calls import NOON

    return create_tenant(slug="two", name="Two", now=NOON)


@pytest.fixture
def connect(tenant: Tenant) -> Connect:
    """Make or update a connection: ``connect(kind, name, url, secrets={...}, settings={...}, keyed=True)``."""
    from connectors.services import save_connection
    from tests.connectors.calls import NOON

    def make(kind: str, name: str, url: str, **more: Any) -> Connection:
        owner = more.pop("tenant", tenant)
        return save_connection(tenant=owner, kind=kind, name=name, url=url, now=NOON, **more)

    return make


@pytest.fixture
def run(tenant: Tenant) -> Run:
    """Plan and carry out calls as a worker does."""
    from connectors.dispatch import plan
    from tests.connectors.calls import carry

    def go(*calls: Call, **more: Any) -> Result:
        owner = more.pop("tenant", tenant)
        return carry(plan(tenant_id=owner.id, calls=calls), **more)

    return go
