"""A tenant and a person of it. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant


@pytest.fixture
def tenant(db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()
