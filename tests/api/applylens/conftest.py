"""Two tenants and their callers. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant, User
    from tests.api.applylens.calls import Api


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
