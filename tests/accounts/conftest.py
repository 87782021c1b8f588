"""People and keys of two tenants, made through the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.accounts import NOON, PASSWORD

if TYPE_CHECKING:
    from accounts.models import Tenant, User


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["tests.accounts.hashers.QuickArgon2"]


@pytest.fixture
def tenant(db: None) -> Tenant:
    from accounts.services import create_tenant

    return create_tenant(slug="acme", name="Acme", now=NOON)


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    from accounts.services import create_tenant

    return create_tenant(slug="other", name="Other", now=NOON)


@pytest.fixture
def owner(tenant: Tenant) -> User:
    from accounts.services import create_user

    return create_user(tenant=tenant, email="Owner@acme.example", password=PASSWORD, role="admin", now=NOON)
