"""Tenants and a question. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from manual.models import ManualRequest


@pytest.fixture
def tenant(db: None) -> Tenant:
    from tests.manual.asking import make_tenant

    return make_tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    from tests.manual.asking import make_tenant

    return make_tenant()


@pytest.fixture
def request_waiting(tenant: Tenant) -> ManualRequest:
    from tests.manual.asking import ask

    return ask(tenant)
