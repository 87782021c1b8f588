"""Two tenants and their callers. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.api.soarca.calls import Api, Waiting


@pytest.fixture
def tenant(db: None) -> Tenant:
    from tests.api.soarca.calls import make_tenant

    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    from tests.api.soarca.calls import make_caller

    return make_caller(tenant)


@pytest.fixture
def viewer(tenant: Tenant) -> Api:
    from tests.api.soarca.calls import make_caller

    return make_caller(tenant, "viewer")


@pytest.fixture
def stranger(db: None) -> Api:
    """A caller of another tenant."""
    from tests.api.soarca.calls import make_caller, make_tenant

    return make_caller(make_tenant())


@pytest.fixture
def anonymous(db: None) -> Api:
    from tests.api.soarca.calls import Api

    return Api()


@pytest.fixture
def waiting(api: Api) -> Waiting:
    """An execution that waits for a person."""
    from tests.api.soarca.calls import manual_playbook, start

    return start(api, manual_playbook())


@pytest.fixture
def theirs(stranger: Api) -> Waiting:
    """The same in the other tenant."""
    from tests.api.soarca.calls import manual_playbook, start

    return start(stranger, manual_playbook())
