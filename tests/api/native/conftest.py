"""Callers of two tenants with several roles. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.api.s4e.calls import Api

MakeCaller = Callable[..., "Api"]


@pytest.fixture(autouse=True)
def _own_windows(settings: Any) -> None:
    """No test counts in another one's limits."""
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"


@pytest.fixture
def tenant(db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def caller() -> MakeCaller:
    """Return a function that makes a caller of a tenant with a role."""

    def make(tenant: Tenant, role: str = "admin") -> Api:
        from accounts.services import create_user, issue_api_key
        from tests.api.s4e.calls import Api
        from tests.factories import NOON

        email = f"{role}-{uuid4().hex[:6]}@example.org"
        owner = create_user(tenant=tenant, email=email, password=None, role=role, now=NOON)
        return Api(issue_api_key(tenant=tenant, owner=owner, name=role, now=NOON)[1])

    return make


@pytest.fixture
def api(tenant: Tenant, caller: MakeCaller) -> Api:
    return caller(tenant)


@pytest.fixture
def stranger(db: None, caller: MakeCaller) -> Api:
    """A caller of another tenant."""
    from tests.flows.starting import make_tenant

    return caller(make_tenant())
