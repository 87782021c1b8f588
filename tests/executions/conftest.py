"""A tenant, and a way to start workflows. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.flows.starting import Start


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def start(tenant: Tenant, settings: Any) -> Start:
    """Return ``start_workflow`` for the tenant, with the fake connector allowed."""
    from tests.flows.starting import start_workflow

    settings.SALLYPORT_ALLOW_FAKE = True
    return partial(start_workflow, tenant)
